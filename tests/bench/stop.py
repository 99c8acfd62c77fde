#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How quickly does an idle daemon stop? From kill() in this process (or the
line to the control socket, or the start of "asgictl stop") to the moment the
application is handed lifespan.shutdown, by which the worker must have closed
its listeners, and to the end of the daemon (the return of asgictl). Each round
is a new daemon with a hello application. Ends with 1 when a median is above its
limit: 1 ms to the event (not by asgictl, with no connection open), 50 ms to the
end."""

import argparse
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import servers

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
# a connection used more recently may have a request under way
IDLE = 0.3


def connections(port, n):
    opened = []
    for _ in range(n):
        s = socket.create_connection(("127.0.0.1", port), 10)
        s.sendall(REQUEST)
        while not s.recv(4096).endswith(b"Hello, world!"):
            pass
        opened.append(s)
    return opened


def by_signal(server, pidfd):
    server.send_signal(signal.SIGTERM)
    # wait(60) would look now and then; this wakes at the end
    select.select([pidfd], [], [], 60)


def by_asgictl(path):
    def stop(server, pidfd):
        subprocess.run(servers.asgictl(path, "stop"), check=True,
                       stdout=subprocess.DEVNULL)
    return stop


def by_command(path):
    """The command alone, without the start of a program."""
    def stop(server, pidfd):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            s.sendall(b"stop\n")
            select.select([pidfd], [], [], 60)
    return stop


def one(n, rest, d, stop):
    """(to the event, to the end), in ms."""
    port, note = servers.free_port(), os.path.join(d, "note")
    command = servers.asgid("stop_app:app", port, "-o",
                            f"control.socket={d}/control")
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                              env={**os.environ, "BENCH_NOTE": note})
    pidfd = os.pidfd_open(server.pid)
    try:
        servers.wait_for(lambda: servers.answers(port), "an answer")
        opened = connections(port, n)
        time.sleep(rest)
        start = time.monotonic_ns()
        stop(server, pidfd)
        end = time.monotonic_ns()
        if server.wait(10) != 0:
            sys.exit(f"exit status {server.returncode}")
        for s in opened:
            s.close()
    finally:
        if server.poll() is None:
            for pid in reversed(servers.tree(server.pid)):
                os.kill(pid, signal.SIGKILL)
            server.wait()
        os.close(pidfd)
    with open(note) as f:
        told, listening = map(int, f.read().split())
    os.unlink(note)
    if listening:
        sys.exit("the application was told before the listeners were closed")
    return (told - start) / 1e6, (end - start) / 1e6


def show(what, values, limit):
    q = statistics.quantiles(values, n=20)
    median = statistics.median(values)
    over = limit is not None and median > limit
    print(f"  {what:22} {median:8.2f} [{min(values):.2f} .. {q[18]:.2f} "
          f".. {max(values):.2f}]{'   TOO MUCH' if over else ''}",
          flush=True)
    return over


SCENES = [
    # what, connections, seconds of rest, limits: to the event, to the end
    ("no connection", 0, 0.05, 1, 50),
    ("10 idle keep-alive connections", 10, IDLE, None, 50),
    ("10 that were just used", 10, 0, None, None),
]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("-n", "--rounds", type=int, default=100)
    p.add_argument("--by", choices=["signal", "command", "asgictl"],
                   default="signal", help="SIGTERM (%(default)s), a line to "
                   "the control socket, or asgictl, whose start is in the "
                   "figures then")
    args = p.parse_args()
    print(f"{args.rounds} rounds; ms: median [least .. 95 % .. most]")
    failed = False
    with tempfile.TemporaryDirectory() as d:
        for what, n, rest, told, gone in SCENES:
            print(what + ":")
            stop = {"signal": by_signal,
                    "command": by_command(d + "/control"),
                    "asgictl": by_asgictl(d + "/control")}[args.by]
            a, b = zip(*(one(n, rest, d, stop)
                         for _ in range(args.rounds)))
            failed |= show("lifespan.shutdown", a,
                           None if args.by == "asgictl" else told)
            failed |= show("the daemon is gone", b, gone)
    return failed


if __name__ == "__main__":
    sys.exit(main())
