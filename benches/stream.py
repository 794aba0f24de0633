#!/usr/bin/env python3
"""What a streaming answer costs a terminal program.

    benches/stream.py [-n RUNS] [--tokens N] [--rate TOKENS_PER_S] [--json] -- COMMAND [ARGUMENT ...]

Each run starts COMMAND in a new pseudo-terminal and a home of its own, with OPENAI_BASE_URL naming a server of this script,
types a question, and measures

  first token   the server writes the first token to the token being on the screen
  last token    the server writes the last token to the token being on the screen
  CPU           user and system time of the program from Enter to the last token on the screen
  bytes         what it wrote to the terminal in that time
  RSS           memory after it

and prints the median with the least and the most of all runs. `--rate 0` writes as fast as the socket takes it. Linux;
standard library only.
"""

import argparse
import json
import os
import socket
import sys
import tempfile
import threading
import time

from terminal import PATIENCE, Ended, Program, effort, memory, milliseconds, summary

FIRST, LAST = "Qfirst", "Qlast"
WORDS = ["the ", "string ", "moves ", "into ", "a ", "vector, ", "so ", "clone it.\n"]


class Server(threading.Thread):
    """Answers every chat request with so many tokens, each in a write of its own."""

    def __init__(self, tokens, rate):
        super().__init__(daemon=True)
        self.tokens, self.rate = tokens, rate
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.first = self.last = None

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        file = connection.makefile("rb")
        try:
            while line := file.readline():
                length = 0
                while (header := file.readline().strip()):
                    name, _, value = header.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                file.read(length)
                if b"/chat/completions" in line:
                    self.answer(connection)
                    return
                body = b'{"object":"list","data":[]}'
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        except OSError:
            pass
        finally:
            connection.close()

    def answer(self, connection):
        def send(choices, usage=None):
            piece = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1760000000, "model": "scripted",
                     "choices": choices, "usage": usage}
            connection.sendall(b"data: " + json.dumps(piece, separators=(",", ":")).encode() + b"\n\n")

        # A model thinks first. The first token is not to meet the drawing of the question.
        time.sleep(0.3)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        # OpenAI opens the answer with this chunk, just before the first token; it must not take the frame of the token.
        send([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        time.sleep(0.002)
        began = time.monotonic()
        for number in range(self.tokens):
            if self.rate:
                time.sleep(max(0.0, began + number / self.rate - time.monotonic()))
            word = {0: FIRST + " ", self.tokens - 1: LAST}.get(number, WORDS[number % len(WORDS)])
            now = time.monotonic()
            self.first = now if number == 0 else self.first
            self.last = now
            send([{"index": 0, "delta": {"content": word}, "finish_reason": None}])
        send([{"index": 0, "delta": {}, "finish_reason": "stop"}])
        send([], {"prompt_tokens": 10, "completion_tokens": self.tokens, "total_tokens": self.tokens + 10})
        connection.sendall(b"data: [DONE]\n\n")


def until_drawn(program, text, since):
    """Reads until this is on the screen; returns when."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if program.take(deadline) and text.encode() in program.drawn(since):
            return time.monotonic()
    raise Ended(f"{text} was never drawn; the end of the output: {bytes(program.output[-300:])!r}")


def measure(options):
    with tempfile.TemporaryDirectory(prefix="stream-") as home:
        server = Server(options.tokens, options.rate)
        server.start()
        os.environ.update(HOME=home, OPENAI_BASE_URL=f"http://127.0.0.1:{server.port}/v1", OPENAI_API_KEY="sk-bench-0123456789")
        for name in ("CONFIG", "DATA", "STATE", "CACHE"):
            os.environ[f"XDG_{name}_HOME"] = os.path.join(home, name.lower())
        program = Program(options.command, options.cols, options.rows)
        try:
            program.until_ready(b"q")
            settled = time.monotonic() + 1.0
            while time.monotonic() < settled:
                program.take(settled)
            before, written = effort(program.family()), len(program.output)
            os.write(program.fd, b"\r")
            first = until_drawn(program, FIRST, written)
            last = until_drawn(program, LAST, written)
            after = effort(program.family())
            rss, _ = memory(program.family())
            return {
                "first_token_ms": milliseconds(first - server.first),
                "last_token_ms": milliseconds(last - server.last),
                "cpu_s": sum(now[0] - before.get(task, (0.0,))[0] for task, now in after.items()),
                "bytes": len(program.output) - written,
                "rss_mib": rss,
            }
        finally:
            program.end()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--runs", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--cols", type=int, default=120)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.command[:1] == ["--"]:
        del options.command[0]
    if not options.command or options.runs < 1 or options.tokens < 2:
        parser.error("a command to measure, at least one run, and at least two tokens")
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
        print(json.dumps({"command": options.command, "summary": table, "runs": runs}, indent=2))
        return
    print(f"{' '.join(options.command)}: median [least - most] of {len(runs)}, {options.tokens} tokens at {options.rate:g} a second")
    for name, row in table.items():
        print(f"  {name:<16} {row['median']:>12.2f}  [{row['min']:.2f} - {row['max']:.2f}]")


if __name__ == "__main__":
    main()
