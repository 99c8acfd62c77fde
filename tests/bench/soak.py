#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Is memory flat? Mixed requests to a FastAPI application in batches: JSON,
threads, validation, uploads, streams, timers, 404s, and clients that leave
in the middle. Prints the workers' memory after each batch. Ends with 1 when
a request failed or the memory grew after the second batch."""

import argparse
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile

import servers


def h2load(n, *args):
    out = subprocess.run(["h2load", "--h1", f"-n{n}", "-c32", *args],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", out)
    return int(done[1]), n - int(done[1])


def leave(port, n):
    """Clients that go away: before the answer, and within it."""
    for i in range(n):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" %
                      (b"stream" if i % 2 else b"wait"))
            if i % 3:
                s.recv(10)


def batch(port, n, folder):
    base = f"http://127.0.0.1:{port}"
    gets = [base + p for p in ("/json", "/sync", "/hello", "/stream",
                               "/wait", "/json?q=1")]
    parts = [
        (n * 7 // 10, gets),
        (n // 10, ["-d", folder + "/body", base + "/echo"]),
        (n // 10, ["-d", folder + "/item", "-H",
                   "content-type: application/json", base + "/item"]),
    ]
    done = failed = 0
    for count, args in parts:
        good, bad = h2load(count, *args)
        done, failed = done + good, failed + bad
    # h2load counts a 4xx as failed: the other way round here
    good, bad = h2load(n // 10, base + "/nowhere")
    leave(port, 50)
    return done + bad, failed + good


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("-n", "--requests", type=int, default=100000)
    p.add_argument("-b", "--batches", type=int, default=10)
    p.add_argument("-g", "--growth", type=float, default=1.0, metavar="MB",
                   help="more is no longer flat (%(default)s)")
    p.add_argument("-s", "--server", default="asgid",
                   choices=["asgid", "uvicorn", "granian"])
    args = p.parse_args()
    if shutil.which("h2load") is None:
        sys.exit("h2load is missing: install nghttp2-client")
    port = servers.free_port()
    command = servers.SERVERS[args.server]("bench_fastapi:app", port)
    failed = total = 0
    memory = []
    with tempfile.TemporaryDirectory() as folder, \
            servers.running(command, port) as server:
        with open(folder + "/body", "wb") as f:
            f.write(b"x" * 10240)
        with open(folder + "/item", "w") as f:
            json.dump({"name": "tea", "price": 2.5, "tags": ["a", "b"]}, f)
        print(f"start: {servers.rss_tree(server.pid) / 1e6:.2f} MB")
        for i in range(args.batches):
            good, bad = batch(port, args.requests // args.batches, folder)
            total, failed = total + good, failed + bad
            memory.append(servers.rss_tree(server.pid))
            print(f"{total + failed} requests: {memory[-1] / 1e6:.2f} MB, "
                  f"{failed} failed", flush=True)
    # the first batches fill pools, caches and the thread pool
    growth = (memory[-1] - memory[min(1, len(memory) - 1)]) / 1e6
    print(f"growth after the second batch: {growth:+.2f} MB; ended with "
          f"{server.returncode}")
    flat = growth <= args.growth
    clean = server.returncode == 0 or args.server != "asgid"
    return not (flat and failed == 0 and clean)


if __name__ == "__main__":
    sys.exit(main())
