#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which system calls does a worker make? One keep-alive connection, one
request after the other: exactly one recvfrom and one sendmsg for each. Then,
with that connection open, a timer or two of the last requests may run out
within 12 s; and then nothing: not a single call, however long one looks. Ends
with 1 if it is otherwise."""

import argparse
import collections
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import servers

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


def exchange(s):
    s.sendall(REQUEST)
    data = b""
    while not data.endswith(b"\r\n\r\nHello, world!"):
        block = s.recv(4096)
        if not block:
            sys.exit(f"connection closed after {data!r}")
        data += block


class Trace:
    """strace of a process and its threads, for the time of a with block;
    then self.calls: the names of the calls that began within it."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        self.out = tempfile.NamedTemporaryFile("r")
        self.strace = subprocess.Popen(
            ["strace", "-f", "-ttt", "-o", self.out.name, "-p",
             str(self.pid)], stderr=subprocess.PIPE, text=True)
        for line in self.strace.stderr:
            if "attached" in line:
                break
        else:
            sys.exit("strace cannot attach")
        # attaching wakes the process: that is not what we look for
        time.sleep(0.5)
        self.start = time.time()
        return self

    def __exit__(self, *error):
        time.sleep(0.1)
        end = time.time()
        self.strace.send_signal(signal.SIGINT)
        self.strace.wait()
        self.calls = collections.Counter()
        for line in self.out:
            found = re.match(r"\d+ +([\d.]+) (\w+)\(", line)
            if found and self.start <= float(found[1]) <= end:
                self.calls[found[2]] += 1


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("-n", "--requests", type=int, default=1000)
    p.add_argument("-i", "--idle", type=float, default=10, metavar="SECONDS")
    p.add_argument("--settle", type=float, default=12, metavar="SECONDS")
    p.add_argument("-s", "--server", default="asgid",
                   choices=list(servers.SERVERS))
    args = p.parse_args()
    if shutil.which("strace") is None:
        sys.exit("strace is missing: install strace")
    port = servers.free_port()
    more = ["--timeout-keep-alive", "600"] \
        if args.server in ("asgid", "uvicorn") else []
    command = servers.SERVERS[args.server]("bench_app:hello", port, *more)
    with servers.running(command, port) as server:
        worker = servers.workers(server)[-1]
        with socket.create_connection(("127.0.0.1", port)) as s:
            for _ in range(100):
                exchange(s)
            with Trace(worker) as busy:
                for _ in range(args.requests):
                    exchange(s)
            with Trace(worker) as settle:
                time.sleep(args.settle)
            with Trace(worker) as idle:
                time.sleep(args.idle)
    print(f"{args.requests} keep-alive requests:")
    for name, n in busy.calls.most_common():
        print(f"  {name:20} {n:7} {n / args.requests:7.3f} a request")
    print(f"the {args.settle:g} s after: {sum(settle.calls.values())} calls",
          dict(settle.calls) or "")
    print(f"idle for {args.idle:g} s: {sum(idle.calls.values())} calls",
          dict(idle.calls) or "")
    receives = sum(n for name, n in busy.calls.items()
                   if name in ("recvfrom", "recvmsg", "read", "recv"))
    sends = sum(n for name, n in busy.calls.items()
                if name in ("sendmsg", "sendto", "write", "writev"))
    return not (receives == sends == args.requests and not idle.calls and
                sum(settle.calls.values()) <= 3)


if __name__ == "__main__":
    sys.exit(main())
