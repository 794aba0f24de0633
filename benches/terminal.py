#!/usr/bin/env python3
"""What a terminal program costs: its start, and its doing nothing.

    benches/terminal.py [-n RUNS] [--idle SECONDS] [--probe CHAR] [--json] -- COMMAND [ARGUMENT ...]

Each run starts COMMAND in a new pseudo-terminal and measures

  first byte    start to the first byte written
  first paint   start to the first character on the screen that is not blank
  ready         start to the first typed character that the program itself draws (the line discipline no longer echoes)
  idle ...      over the idle time: CPU time, context switches and wake-ups of all threads and child processes, bytes written
  RSS, PSS      memory after the idle time, child processes included

and prints the median with the least and the most of all runs. Questions that programs ask a terminal (who are you, where is
the cursor, what is the background) are answered at once, so that no program waits for an answer. Linux; standard library only.
"""

import argparse
import fcntl
import json
import os
import pty
import re
import select
import signal
import statistics
import struct
import sys
import termios
import time

PATIENCE = 30.0
TICK = os.sysconf("SC_CLK_TCK")

# Control sequences: CSI; OSC; DCS, SOS, PM and APC; two- and three-byte escapes.
SEQUENCE = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\|\x1b[ -/]+[0-~]|\x1b[0-OQ-WYZ\\`-~]"
)
QUESTIONS = [
    (re.compile(rb"\x1b\[0?c"), b"\x1b[?62;22c"),
    (re.compile(rb"\x1b\[>0?c"), b"\x1b[>1;10;0c"),
    (re.compile(rb"\x1b\[\??6n"), b"\x1b[1;1R"),
    (re.compile(rb"\x1b\[5n"), b"\x1b[0n"),
    (re.compile(rb"\x1b\]10;\?(?:\x07|\x1b\\)"), b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\"),
    (re.compile(rb"\x1b\]11;\?(?:\x07|\x1b\\)"), b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
]


class Ended(Exception):
    """The program ended before it was measured."""


class Program:
    """A command in a pseudo-terminal, and all that it wrote."""

    def __init__(self, command, cols, rows):
        self.output = bytearray()
        self.asked = 0
        self.first_byte = None
        self.first_paint = None
        self.started = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
                os.environ["TERM"] = "xterm-256color"
                os.execvp(command[0], command)
            except OSError as error:
                os.write(2, f"{command[0]}: {error.strerror}\n".encode())
            os._exit(127)

    def take(self, until):
        """Takes what is written until this moment or for the first output. Returns whether any came."""
        left = until - time.monotonic()
        if left <= 0 or not select.select([self.fd], [], [], left)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        if not data:
            raise Ended(f"the program ended; its last words: {bytes(self.output[-300:])!r}")
        now = time.monotonic() - self.started
        self.output += data
        if self.first_byte is None:
            self.first_byte = now
        if self.first_paint is None and self.drawn(0).strip():
            self.first_paint = now
        self.answer()
        return True

    def answer(self):
        """Answers each question once, also one that came in parts."""
        found = sorted(
            (match.end(), reply)
            for question, reply in QUESTIONS
            for match in question.finditer(self.output, self.asked)
        )
        for end, reply in found:
            os.write(self.fd, reply)
            self.asked = end

    def drawn(self, since):
        """The text written since then, without control sequences, whole or begun."""
        text = SEQUENCE.sub(b"", bytes(self.output[since:]))
        return re.sub(rb"\x1b.*\Z|[\x00-\x1f\x7f]", b"", text, flags=re.DOTALL)

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def until_ready(self, probe):
        """Types the probe until the program draws it; it is typed once it has switched ECHO off, and again every half second."""
        deadline = self.started + PATIENCE
        typed, again = None, 0.0
        while time.monotonic() < deadline:
            now = time.monotonic()
            if not self.echoes() and self.first_paint is not None and now >= again:
                typed = len(self.output) if typed is None else typed
                os.write(self.fd, probe)
                again = now + 0.5
            # Nothing announces a change of mode: look at it every millisecond until the probe is typed.
            came = self.take(min(deadline, again if typed is not None else now + 0.001))
            if came and typed is not None and probe in self.drawn(typed):
                return time.monotonic() - self.started
        return None

    def family(self):
        """The program's process and its descendants."""
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
        family = [self.pid]
        for member in family:
            family += [pid for pid, parent in parents.items() if parent == member]
        return family

    def end(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def effort(pids):
    """For every thread: CPU seconds, voluntary and involuntary context switches so far."""
    threads = {}
    for pid in pids:
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{pid}/task/{task}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                with open(f"/proc/{pid}/task/{task}/status") as file:
                    status = dict(line.split(":", 1) for line in file if ":" in line)
            except OSError:
                continue
            cpu = (int(fields[11]) + int(fields[12])) / TICK
            threads[task] = (cpu, int(status["voluntary_ctxt_switches"]), int(status["nonvoluntary_ctxt_switches"]))
    return threads


def memory(pids):
    """RSS and PSS in MiB."""
    totals = {"Rss": 0, "Pss": 0}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for line in file:
                    name, _, rest = line.partition(":")
                    if name in totals:
                        totals[name] += int(rest.split()[0])
        except OSError:
            continue
    return totals["Rss"] / 1024, totals["Pss"] / 1024


def measure(options):
    program = Program(options.command, options.cols, options.rows)
    try:
        ready = program.until_ready(options.probe.encode())
        # The answer to the probe, and what is drawn after a start, is not idleness.
        settled = time.monotonic() + options.settle
        while time.monotonic() < settled:
            program.take(settled)
        family = program.family()
        before, written = effort(family), len(program.output)
        until = time.monotonic() + options.idle
        while time.monotonic() < until:
            program.take(until)
        family = program.family()
        after = effort(family)
        rss, pss = memory(family)
        nothing = (0.0, 0, 0)
        spent = [[b - a for a, b in zip(before.get(task, nothing), now)] for task, now in after.items()]
        cpu, voluntary, involuntary = (sum(column) for column in zip(*spent))
        return {
            "first_byte_ms": milliseconds(program.first_byte),
            "first_paint_ms": milliseconds(program.first_paint),
            "ready_ms": milliseconds(ready),
            "idle_cpu_ms": cpu * 1000,
            "idle_switches_voluntary": voluntary,
            "idle_switches_involuntary": involuntary,
            "idle_wakeups_per_s": voluntary / options.idle if options.idle else 0.0,
            "idle_bytes": len(program.output) - written,
            "threads": len(after),
            "rss_mib": rss,
            "pss_mib": pss,
        }
    finally:
        program.end()


def milliseconds(seconds):
    return None if seconds is None else seconds * 1000


def summary(runs):
    """Of each figure: median, least, most, and in how many runs it could be taken."""
    table = {}
    for name in runs[0]:
        values = [run[name] for run in runs if run[name] is not None]
        table[name] = (
            {"median": statistics.median(values), "min": min(values), "max": max(values), "runs": len(values)}
            if values
            else None
        )
    return table


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--runs", type=int, default=5)
    parser.add_argument("--idle", type=float, default=10.0, help="seconds of doing nothing (10)")
    parser.add_argument("--settle", type=float, default=1.5, help="seconds between ready and idle (1.5)")
    parser.add_argument("--probe", default="q", help="what is typed to see whether the program is ready (q)")
    parser.add_argument("--cols", type=int, default=120)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.command[:1] == ["--"]:
        del options.command[0]
    if not options.command or options.runs < 1:
        parser.error("a command to measure, and at least one run")
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
        print(json.dumps({"command": options.command, "idle_s": options.idle, "summary": table, "runs": runs}, indent=2))
        return
    print(f"{' '.join(options.command)}: median [least - most] of {len(runs)}, idle for {options.idle:g} s")
    for name, row in table.items():
        if row is None:
            print(f"  {name:<26} never")
            continue
        missed = "" if row["runs"] == len(runs) else f"  in {row['runs']} of {len(runs)} runs"
        print(f"  {name:<26} {row['median']:>10.2f}  [{row['min']:.2f} - {row['max']:.2f}]{missed}")


if __name__ == "__main__":
    main()
