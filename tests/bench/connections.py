#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Many concurrent keep-alive connections: opens them all, sends requests
over all of them in rounds, counts failures; says what an idle connection
costs in memory of the worker, and what all of them cost in CPU while they
are idle. Ends with 1 if any request failed."""

import argparse
import resource
import select
import socket
import sys
import time

import servers

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
BODY = b"Hello, world!"


class Clients:
    def __init__(self, port):
        self.port = port
        self.epoll = select.epoll()
        self.socks = {}
        self.failed = 0

    def drop(self, fd):
        self.failed += 1
        self.epoll.unregister(fd)
        self.socks.pop(fd).close()

    def connect(self, n):
        """n more, not faster than they are accepted."""
        for _ in range(n):
            try:
                s = socket.create_connection(("127.0.0.1", self.port), 20)
            except OSError as e:
                print("connect:", e)
                self.failed += 1
                continue
            s.setblocking(False)
            self.socks[s.fileno()] = s
            self.epoll.register(s, select.EPOLLIN)

    def round(self, seconds=60):
        """A request on each, all at once; every answer is checked."""
        buffers = {}
        for fd, s in list(self.socks.items()):
            try:
                s.send(REQUEST)
                buffers[fd] = b""
            except OSError:
                self.drop(fd)
        end = time.monotonic() + seconds
        while buffers and time.monotonic() < end:
            for fd, _ in self.epoll.poll(1):
                if fd not in self.socks:
                    continue
                try:
                    data = self.socks[fd].recv(4096)
                except OSError:
                    data = b""
                buffers[fd] = buffers.get(fd, b"") + data
                whole = buffers[fd]
                if whole.endswith(b"\r\n\r\n" + BODY) and \
                        whole.startswith(b"HTTP/1.1 200 "):
                    del buffers[fd]
                elif data == b"":
                    del buffers[fd]
                    self.drop(fd)
        for fd in list(buffers):        # those without an answer
            self.drop(fd)

    def close(self):
        for s in self.socks.values():
            s.close()
        self.socks.clear()
        self.epoll.close()


def raise_limit(n):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = n + 200
    if soft < want:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want, max(hard, want)))


def command(args, port):
    if args.server == "asgid":
        return servers.asgid("bench_app:hello", port,
                             "--timeout-keep-alive", "600", "-o",
                             f"limits.connections={args.connections + 100}")
    if args.server == "uvicorn":
        return servers.uvicorn("bench_app:hello", port,
                               "--timeout-keep-alive", "600")
    return servers.SERVERS[args.server]("bench_app:hello", port)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("-c", "--connections", type=int, default=10000)
    p.add_argument("-r", "--rounds", type=int, default=5)
    p.add_argument("-i", "--idle", type=float, default=10, metavar="SECONDS")
    p.add_argument("-s", "--server", default="asgid",
                   choices=list(servers.SERVERS))
    args = p.parse_args()
    # asgid raises its own limit; the others inherit ours
    raise_limit(args.connections)
    port = servers.free_port()
    with servers.running(command(args, port), port) as server:
        clients = Clients(port)
        clients.connect(1)
        for _ in range(100):
            clients.round()
        before = servers.rss_tree(server.pid)
        start = time.monotonic()
        clients.connect(args.connections - 1)
        opened = time.monotonic() - start
        print(f"{len(clients.socks)} connections open after {opened:.1f} s")
        for n in range(args.rounds):
            start = time.monotonic()
            sent = len(clients.socks)
            clients.round()
            print(f"round {n + 1}: {sent} requests in "
                  f"{time.monotonic() - start:.2f} s, "
                  f"{clients.failed} failed so far")
        each = (servers.rss_tree(server.pid) - before) / args.connections
        cpu = sum(servers.cpu(server.pid))
        time.sleep(args.idle)
        cpu = sum(servers.cpu(server.pid)) - cpu
        clients.round()
        print(f"memory: {before / 1e6:.1f} MB with one connection, "
              f"{each / 1e3:.1f} kB for each other one\n"
              f"idle: {cpu * 100 / max(args.idle, 1e-9):.2f} % CPU over "
              f"{args.idle:g} s\n"
              f"failed: {clients.failed}")
        clients.close()
    return clients.failed > 0


if __name__ == "__main__":
    sys.exit(main())
