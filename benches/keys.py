#!/usr/bin/env python3
"""What typing costs in a terminal program.

    benches/keys.py [-n RUNS] [--keys N] [--gap MS] [--same-home] [--json] -- COMMAND [ARGUMENT ...]

Each run starts COMMAND in a new pseudo-terminal with an empty home and no key of a provider, so that chat-agent asks its
built-in guide, waits until it is ready, types so many keys, one every so many milliseconds, and measures

  key to screen  from writing a key to the terminal until its letter is drawn: the median and the 95th percentile of a run
  CPU a key      user and system time of the program, from the first key until a second after the last, divided by the keys
  bytes a key    what it wrote to the terminal in that time, divided by the keys

and prints the median with the least and the most of all runs. The letters are ones that no other part of a screen shows.
With --same-home the program sees the home of the caller, for programs that do not start without a configuration. Linux;
standard library only.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time

from terminal import PATIENCE, TICK, Ended, Program, milliseconds, summary

# A space after each word, so that the program wraps the text as it does with prose.
WORDS = "QZXJ KVWY XQKZ JWVQ "
# What makes chat-agent ask a provider instead of its guide.
PROVIDERS = ("_API_KEY", "_BASE_URL")


def cpu(pids):
    """CPU seconds of these processes, threads that ended included."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def listen(program, until):
    while time.monotonic() < until:
        program.take(until)


def press(program, letter, gap):
    """Types a letter and returns how long it took to be drawn; then waits for the rest of the gap."""
    seen, pressed = len(program.output), time.monotonic()
    os.write(program.fd, letter.encode())
    if letter == " ":
        drawn = None
    else:
        deadline = pressed + PATIENCE
        while letter.encode() not in program.drawn(seen):
            if not program.take(deadline) and time.monotonic() >= deadline:
                raise Ended(f"{letter} was never drawn; the end of the output: {bytes(program.output[-300:])!r}")
        drawn = time.monotonic() - pressed
    listen(program, pressed + gap)
    return drawn


def measure(options):
    with tempfile.TemporaryDirectory(prefix="keys-") as home:
        if not options.same_home:
            for name in [name for name in os.environ if name.endswith(PROVIDERS)]:
                del os.environ[name]
            os.environ["HOME"] = home
            for name in ("CONFIG", "DATA", "STATE", "CACHE"):
                os.environ[f"XDG_{name}_HOME"] = os.path.join(home, name.lower())
        program = Program(options.command, options.cols, options.rows)
        try:
            if program.until_ready(b"q") is None:
                raise Ended("the program was never ready")
            listen(program, time.monotonic() + options.settle)
            before, written = cpu(program.family()), len(program.output)
            times = [press(program, WORDS[n % len(WORDS)], options.gap / 1000) for n in range(options.keys)]
            listen(program, time.monotonic() + 1.0)
            spent, bytes_written = cpu(program.family()) - before, len(program.output) - written
        finally:
            program.end()
    times = sorted(taken for taken in times if taken is not None)
    return {
        "key_to_screen_ms": milliseconds(statistics.median(times)),
        "key_to_screen_p95_ms": milliseconds(times[len(times) * 95 // 100]),
        "cpu_ms_per_key": milliseconds(spent) / options.keys,
        "bytes_per_key": bytes_written / options.keys,
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--runs", type=int, default=5)
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--gap", type=float, default=20.0, help="milliseconds from one key to the next (20)")
    parser.add_argument("--settle", type=float, default=1.5, help="seconds between ready and the first key (1.5)")
    parser.add_argument("--same-home", action="store_true", help="do not give the program an empty home")
    parser.add_argument("--cols", type=int, default=120)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.command[:1] == ["--"]:
        del options.command[0]
    if not options.command or options.runs < 1 or options.keys < 1:
        parser.error("a command to measure, at least one run, and at least one key")
    return options


def main():
    options = arguments()
    runs = []
    for number in range(options.runs):
        try:
            runs.append(measure(options))
        except Ended as error:
            sys.exit(f"run {number + 1}: {error}")
    table = summary(runs)
    if options.json:
        print(json.dumps({"command": options.command, "gap_ms": options.gap, "summary": table, "runs": runs}, indent=2))
        return
    print(
        f"{' '.join(options.command)}: median [least - most] of {len(runs)}, {options.keys} keys, one every {options.gap:g} ms"
    )
    for name, row in table.items():
        print(f"  {name:<22} {row['median']:>10.2f}  [{row['min']:.2f} - {row['max']:.2f}]")


if __name__ == "__main__":
    main()
