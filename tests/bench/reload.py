#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reloads under constant load: clients that keep their connection and clients
that make a new one for each request ask two workers without a pause while the
daemon reloads again and again. Counts requests that failed, what the master
has of descriptors and memory, and the processes that are left. Ends with 1
when a request failed or something grew."""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import servers

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
WORKERS = 2
WARM_UP = 20            # reloads until the allocator has what it wants


class Client(threading.Thread):
    def __init__(self, port, keep, stop):
        super().__init__(daemon=True)
        self.port, self.keep, self.stop = port, keep, stop
        self.count, self.slowest, self.failed = 0, 0.0, []

    def ask(self, s):
        """True: the connection can be used again."""
        s.sendall(REQUEST)
        data = b""
        while not data.endswith(b"Hello, world!"):
            block = s.recv(4096)
            if not block:
                raise OSError(f"closed after {data!r}")
            data += block
        return self.keep and b"\r\nConnection: close\r\n" not in data

    def run(self):
        s = None
        while not self.stop.is_set():
            start = time.monotonic()
            try:
                if s is None:
                    s = socket.create_connection(("127.0.0.1", self.port), 30)
                again = self.ask(s)
                self.count += 1
            except OSError as e:
                self.failed.append(f"{'kept' if self.keep else 'new'}: {e}")
                again = False
            self.slowest = max(self.slowest, time.monotonic() - start)
            if not again:
                if s is not None:
                    s.close()
                s = None


class Log:
    """The daemon's error log, read as it grows."""

    def __init__(self, path):
        self.file = open(path)
        self.text = ""

    def wait(self, pattern, seconds=60):
        def found():
            self.text += self.file.read()
            return re.search(pattern, self.text)
        servers.wait_for(found, pattern, seconds)
        m = re.search(pattern, self.text)
        self.text = self.text[m.end():]
        return m


def by_signal(server, log):
    server.send_signal(signal.SIGHUP)
    m = log.wait(r"Reloaded: |Reload failed.*|refused: asgid is starting")
    if m[0].startswith("refused"):
        by_signal(server, log)
    elif m[0] != "Reloaded: ":
        sys.exit(m[0])


def by_asgictl(path):
    def reload(server, log):
        for words in ("wait", "ready"), ("reload",):
            subprocess.run(servers.asgictl(path, *words), check=True,
                           stdout=subprocess.DEVNULL)
    return reload


def state(server):
    return servers.descriptors(server.pid), servers.rss(server.pid)


def settle(server):
    servers.wait_for(lambda: len(servers.tree(server.pid)) == 1 + WORKERS,
                     "the old workers to end", 60)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("-n", "--reloads", type=int, default=200)
    p.add_argument("-c", "--clients", type=int, default=8,
                   help="half of them keep their connections")
    p.add_argument("--asgictl", action="store_true",
                   help="reload by asgictl, not by SIGHUP")
    args = p.parse_args()
    port = servers.free_port()
    stop = threading.Event()
    clients = [Client(port, i % 2 == 0, stop) for i in range(args.clients)]
    with tempfile.TemporaryDirectory() as d:
        sock = os.path.join(d, "control")
        options = ["--workers", str(WORKERS), "--log-level", "info",
                   "-o", f"log.error={d}/log"]
        reload = by_signal
        if args.asgictl:
            options += ["-o", f"control.socket={sock}"]
            reload = by_asgictl(sock)
        command = servers.asgid("bench_app:hello", port, *options)
        with servers.running(command, port) as server:
            log = Log(d + "/log")
            log.wait("running on")
            settle(server)
            for c in clients:
                c.start()
            begin, marks, took = time.monotonic(), [], []
            for i in range(args.reloads):
                start = time.monotonic()
                reload(server, log)
                took.append(time.monotonic() - start)
                settle(server)
                if i + 1 in (min(WARM_UP, args.reloads // 2), args.reloads):
                    marks.append(state(server))
            seconds = time.monotonic() - begin
            stop.set()
            for c in clients:
                c.join(60)
            left = servers.tree(server.pid)[1:]
    failed = [f for c in clients for f in c.failed]
    (fds, rss), (fds_end, rss_end) = marks
    print(f"{args.reloads} reloads in {seconds:.0f} s, "
          f"{sorted(took)[len(took) // 2] * 1e3:.0f} ms each (median)\n"
          f"{sum(c.count for c in clients)} requests, {len(failed)} failed; "
          f"the slowest took {max(c.slowest for c in clients) * 1e3:.0f} ms\n"
          f"master: {fds} descriptors, {fds_end} at the end; "
          f"{rss / 1024:.0f} KiB resident, {rss_end / 1024:.0f} at the end\n"
          f"{len(left)} workers left")
    for f in sorted(set(failed)):
        print(f"{failed.count(f)} x {f}")
    grown = fds_end > fds or rss_end > rss + 64 * 1024 or \
        len(left) != WORKERS
    return bool(failed) or grown


if __name__ == "__main__":
    sys.exit(main())
