#!/usr/bin/env python3
"""What one question costs from the shell, beside curl sending the very same request.

    benches/ask.py [-n RUNS] [--folder FOLDER] [--json] target/release/chat-agent

A server on loopback answers every request with 16 tokens, at once. Each round runs every row of the table once, one after
the other, so that whatever else the machine does meets them all; then medians [least-most] are printed:

  wall, CPU     start to end of the process; processor time of all its threads
  peak RSS      the most memory it held, read while it runs, in rounds of their own
  x curl        the ratio of the medians of wall

The rows after `ask` show where its time goes: the process alone (--version), configuration, catalogue, counting and the
store without sending (--estimate), and without the cache (--no-cache). Then hits: an answer of an earlier run, with the
owner of the cache running already, and with none, so that one has to be started first; how many of these came from the
disk all the same is said below the table. Home and data lie in a new folder beside the program (--folder: elsewhere), for
a commit costs nothing where /tmp is memory. Prompts are never the same, except for hits. Linux; standard library only.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOKENS = 16
COLD = "  hit, no owner"


def parts():
    """Head and first token, the other tokens, the end: one write each."""

    def chunk(choices, usage=None):
        data = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1760000000, "model": "scripted"}
        return b"data: " + json.dumps({**data, "choices": choices, "usage": usage}).encode() + b"\n\n"

    def choice(delta, finish=None):
        return [{"index": 0, "delta": delta, "finish_reason": finish}]

    usage = {"prompt_tokens": 9, "completion_tokens": TOKENS, "total_tokens": 9 + TOKENS}
    out = [chunk(choice({"content": " token"})) for _ in range(TOKENS)]
    out.append(chunk(choice({}, "stop")) + chunk([], usage) + b"data: [DONE]\n\n")
    length = sum(map(len, out))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {length}\r\n\r\n"
    return [head.encode() + out[0], *out[1:]]


def answer_all(connection, answer, seen):
    """Serves one connection; the body of the very first request goes into the file `seen`."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = connection.makefile("rb")
    while True:
        length = 0
        line = reader.readline()
        if not line:
            return
        while line not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            line = reader.readline()
        body = reader.read(length)
        if not os.path.exists(seen):
            with open(seen, "wb") as file:
                file.write(body)
        for part in answer:
            connection.sendall(part)


def serve(seen):
    """Starts the server in a process of its own; returns its pid and port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port = listener.getsockname()[1]
    pid = os.fork()
    if pid:
        listener.close()
        return pid, port
    answer = parts()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer_all, args=(connection, answer, seen), daemon=True).start()


def run(command, environment, out, polled=False):
    """Wall and CPU milliseconds; or, `polled`, the peak RSS in MiB (the kernel's own figure would include this script)."""
    began = time.perf_counter()
    child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out)
    peak = 0
    while polled and child.returncode is None:
        try:
            with open(f"/proc/{child.pid}/status", encoding="ascii") as status:
                peak = max([peak] + [int(line.split()[1]) for line in status if line.startswith("VmHWM:")])
        except ProcessLookupError:
            pass
        done, status = os.waitpid(child.pid, os.WNOHANG)
        if done:
            child.returncode = os.waitstatus_to_exitcode(status)
    if not polled:
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)[:200]}: exit status {child.returncode}")
    return peak / 1024 if polled else (1000 * wall, 1000 * (usage.ru_utime + usage.ru_stime))


def end_owner(home):
    """Ends the process that holds the cache, and waits until it is gone."""
    try:
        with open(os.path.join(home, ".local/share/chat-agent/cache.owner"), encoding="utf-8") as card:
            pid = json.load(card)["pid"]
        os.kill(pid, signal.SIGTERM)
        for _ in range(1000):
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                if stat.read().rpartition(") ")[2][0] in "ZX":
                    return
            time.sleep(0.01)
    except (OSError, ValueError, KeyError):
        # There is none.
        return
    sys.exit(f"the owner of the cache, process {pid}, does not end")


def figure(values):
    return f"{statistics.median(values):7.1f} [{min(values):.1f}-{max(values):.1f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("-n", type=int, default=20, metavar="RUNS")
    parser.add_argument("--folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    program = os.path.abspath(options.program)
    curl = shutil.which("curl") or sys.exit("curl is not installed")
    with tempfile.TemporaryDirectory(prefix="ask-", dir=options.folder or os.path.dirname(program)) as home:
        seen = os.path.join(home, "request.json")
        server, port = serve(seen)
        try:
            rows, hits = measure(program, curl, home, seen, f"http://127.0.0.1:{port}/v1", options.n)
        finally:
            end_owner(home)
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)
    if options.json:
        print(json.dumps(rows))
        return
    base = statistics.median(rows["curl"]["wall_ms"])
    print(f"{'':24}{'wall ms':>24}{'CPU ms':>24}{'peak RSS MiB':>24}{'x curl':>9}")
    for name, row in rows.items():
        figures = "".join(f"{figure(row[key]):>24}" for key in ("wall_ms", "cpu_ms", "rss_mib"))
        print(f"{name:24}{figures}{statistics.median(row['wall_ms']) / base:9.2f}")
    print(f"\nhits with a cold owner: {hits} of {options.n}; load {os.getloadavg()[0]:.1f}")


def measure(program, curl, home, seen, url, runs):
    environment = {"PATH": os.environ["PATH"], "HOME": home, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-bench-0000"}
    first = [program, "ask", "hi again"]
    # A whole run first: it makes the store, shows that all is well, and its request is the one that curl sends.
    said = subprocess.run(first, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if said.returncode != 0 or said.stdout.count(b"token") != TOKENS:
        sys.exit(f"ask does not work: {said}")
    with open(seen, "rb") as file:
        body = file.read().decode()
    by_curl = [curl, "-sSN", f"{url}/chat/completions", "-H", "Content-Type: application/json"]
    by_curl += ["-H", "Authorization: Bearer sk-bench-0000", "-d", body]
    commands = {
        "curl": lambda n: by_curl,
        "ask": lambda n: [program, "ask", f"hi {n}"],
        "  --no-cache": lambda n: [program, "ask", "--no-cache", f"hi {n}"],
        "  --estimate": lambda n: [program, "ask", "--estimate", f"hi {n}"],
        "  hit, owner warm": lambda n: first,
        COLD: lambda n: [program, "ask", "--json", "hi again"],
        "  --version": lambda n: [program, "--version"],
    }
    rows = {name: {"wall_ms": [], "cpu_ms": [], "rss_mib": []} for name in commands}
    hits = 0
    with tempfile.TemporaryFile() as out:

        def once(name, n, polled=False):
            if name == COLD:
                end_owner(home)
            out.seek(0)
            out.truncate()
            return run(commands[name](n), environment, out, polled)

        # The first round warms the page cache and does not count.
        for n in range(-1, runs):
            for name, row in rows.items():
                wall, cpu = once(name, n)
                if n >= 0:
                    row["wall_ms"].append(wall)
                    row["cpu_ms"].append(cpu)
                    out.seek(0)
                    hits += name == COLD and json.load(out)["cache"]["hit"] == "disk"
        for n in range(runs, runs + max(3, runs // 4)):
            for name, row in rows.items():
                row["rss_mib"].append(once(name, n, polled=True))
    return rows, hits


if __name__ == "__main__":
    main()
