#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What do statistics cost those who do not ask, and how long do they take
those who do? First hello with and without somebody who reads `stats` ten times
a second, in interleaved rounds: requests a second, and CPU time a request of
the worker and of the master. Then the time of an answer while every worker
hangs in time.sleep(60). Ends with 1 if its median is above 5 ms."""

import argparse
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import servers

HANGS = """
import time
async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/hang":
        time.sleep(60)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})
"""


def ask(s, line):
    """One command on an open connection; its text."""
    s.sendall(line.encode() + b"\n")
    got = b""
    while b"\n" not in got:
        got += s.recv(65536)
    head, _, text = got.partition(b"\n")
    code, length = map(int, head.split())
    while len(text) < length:
        text += s.recv(65536)
    if code != 200:
        sys.exit(f"{line}: {code} {text.decode()}")
    return text.decode()


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return s


class Reader(threading.Thread):
    def __init__(self, path, words):
        super().__init__(daemon=True)
        self.path, self.words, self.over = path, words, threading.Event()

    def run(self):
        with connect(self.path) as s:
            while not self.over.wait(0.1):
                ask(s, self.words)


def round_of(args, words):
    port = servers.free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "control")
        command = servers.asgid("bench_app:hello", port, "-o",
                                "control.socket=" + path)
        with servers.running(command, port, 0) as server:
            def wrk(seconds):
                out = subprocess.run(
                    ["taskset", "-c", "1", "wrk", "-t1", "-c64",
                     f"-d{seconds}s", f"http://127.0.0.1:{port}/"],
                    check=True, stdout=subprocess.PIPE, text=True).stdout
                return (int(re.search(r"(\d+) requests in", out)[1]),
                        float(re.search(r"sec:\s+([\d.]+)", out)[1]))

            def cpu():
                all_of = sum(servers.cpu(server.pid))
                worker = sum(servers.cpu(servers.workers(server)[0]))
                return worker, all_of - worker

            wrk(1)
            reader = Reader(path, words) if words else None
            if reader:
                reader.start()
            before = cpu()
            n, rps = wrk(args.seconds)
            after = cpu()
            if reader:
                reader.over.set()
                reader.join()
    return rps, *((b - a) * 1e6 / n for a, b in zip(before, after))


def cost(args):
    kinds = {"nobody asks": None, "10 stats/s": "stats",
             "10 stats --openmetrics/s": "stats --openmetrics"}
    found = {k: [] for k in kinds}
    for _ in range(args.rounds):
        for k, words in kinds.items():
            found[k].append(round_of(args, words))
    print(f"{'':26}{'requests/s':>26}{'worker us':>22}{'master us':>18}")
    for k, rows in found.items():
        cells = [(statistics.median(c), min(c), max(c)) for c in zip(*rows)]
        print(f"{k:26}" + "{:10.0f} [{:.0f}..{:.0f}]".format(*cells[0]).rjust(
            26) + "{:8.2f} [{:.2f}..{:.2f}]".format(*cells[1]).rjust(22) +
            "{:6.3f} [{:.3f}..{:.3f}]".format(*cells[2]).rjust(18))


def while_hanging(args):
    port, n = servers.free_port(), 2
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "hangs.py"), "w") as f:
            f.write(HANGS)
        path = os.path.join(folder, "control")
        command = servers.asgid("hangs:app", port, "--workers", str(n),
                                "--app-dir", folder, "-o",
                                "control.socket=" + path)
        with servers.running(command, port) as server:
            s = connect(path)
            ask(s, "wait ready")
            hung = []
            while len(hung) < n:
                hung.append(socket.create_connection(("127.0.0.1", port)))
                hung[-1].sendall(b"GET /hang HTTP/1.1\r\nHost: b\r\n\r\n")
                servers.wait_for(
                    lambda: ask(s, "workers --json").count('"in_flight":1') >=
                    len(hung), "a worker to hang")
            took = []
            for _ in range(200):
                t = time.perf_counter()
                ask(s, "stats")
                took.append((time.perf_counter() - t) * 1e3)
            s.close()
            server.send_signal(signal.SIGQUIT)
            server.wait(30)
    took.sort()
    print(f"\n200 stats while {n} of {n} workers hang: median "
          f"{statistics.median(took):.2f} ms, 99 % {took[197]:.2f} ms, "
          f"most {took[-1]:.2f} ms")
    return statistics.median(took) < 5


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("-r", "--rounds", type=int, default=5)
    p.add_argument("-d", "--seconds", type=int, default=3)
    args = p.parse_args()
    cost(args)
    sys.exit(0 if while_hanging(args) else 1)


if __name__ == "__main__":
    main()
