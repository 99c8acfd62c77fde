#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""asgid and its peers side by side: the same work, in interleaved rounds,
the server on one core and wrk on another. Prints requests a second, user
and system CPU microseconds a request over the whole process tree, the 99th
percentile of the latency, and the resident memory after the load."""

import argparse
import datetime
import importlib.metadata
import os
import platform
import re
import statistics
import subprocess
import sys

import servers

# name: (application, path, more options of wrk, what it is)
WORKS = {
    "hello": ("bench_app:hello", "/", [], "bare ASGI, 13 bytes, 2 headers"),
    "json": ("bench_fastapi:app", "/json", [],
             "FastAPI, a list of 50 numbers"),
    "sync": ("bench_fastapi:app", "/sync", [],
             "FastAPI, a synchronous route in the thread pool"),
    "echo": ("bench_app:echo", "/",
             ["-s", os.path.join(servers.HERE, "echo.lua")],
             "bare ASGI, POST of 10 KiB, sent back"),
}
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def load(args, port, path, options, seconds):
    """Run wrk; its requests, requests a second and p99 in ms."""
    command = ["taskset", "-c", str(args.client_core), "wrk", "-t1",
               f"-c{args.connections}", f"-d{seconds}s", "--latency",
               *options, f"http://127.0.0.1:{port}{path}"]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE,
                         text=True).stdout
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    failed = sum(map(int, re.findall(
        r"(?:connect|read|write|timeout|responses:) (\d+)", out)))
    return {"requests": int(re.search(r"(\d+) requests in", out)[1]),
            "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            "p99": float(p99[1]) * UNITS[p99[2]] if p99 else 0.0,
            "failed": failed}


def measure(args, name, work):
    app, path, options, _ = WORKS[work]
    port = servers.free_port()
    command = servers.SERVERS[name](app, port)
    if command is None:
        return None
    with servers.running(command, port, args.server_core) as server:
        load(args, port, path, options, args.warmup)
        user, system = servers.cpu(server.pid)
        found = load(args, port, path, options, args.seconds)
        user_after, system_after = servers.cpu(server.pid)
        found["rss"] = servers.rss_tree(server.pid)
    n = max(found["requests"], 1)
    found["user"] = (user_after - user) * 1e6 / n
    found["system"] = (system_after - system) * 1e6 / n
    return found


def measure_alive(args, name, work):
    """measure(), again when the server did not survive it: FastPySGI dies
    now and then when clients leave."""
    deaths = 0
    while True:
        try:
            found = measure(args, name, work)
        except subprocess.CalledProcessError:
            deaths += 1
            if deaths == 5:
                raise
            continue
        if found is not None:
            found["deaths"] = deaths
        return found


def spread(rounds, key, form):
    values = [r[key] for r in rounds]
    text = form % statistics.median(values)
    if len(values) > 1:
        text += f" ({form % min(values)}-{form % max(values)})"
    return text


def table(results, work):
    """A work's results as a Markdown table."""
    rows = [["server", "requests/s", "user us", "system us", "us together",
             "p99 ms", "RSS MB", "failed", "died"]]
    for name, rounds in results.items():
        for r in rounds:
            r["cpu"] = r["user"] + r["system"]
            r["mb"] = r["rss"] / 1e6
        rows.append([name, spread(rounds, "rps", "%.0f"),
                     spread(rounds, "user", "%.2f"),
                     spread(rounds, "system", "%.2f"),
                     spread(rounds, "cpu", "%.1f"),
                     spread(rounds, "p99", "%.2f"),
                     "%.0f" % statistics.median(r["mb"] for r in rounds),
                     str(sum(r["failed"] for r in rounds)),
                     str(sum(r["deaths"] for r in rounds))])
    width = [max(map(len, column)) for column in zip(*rows)]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, width)) + " |"
             for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in width) + "|")
    return "\n".join([f"### {work}: {WORKS[work][3]}", "", *lines, ""])


def ratios(results):
    """asgid against the others, by the medians: the numbers we answer for."""
    def median(name, key):
        return statistics.median(r[key] for r in results[name])
    if "asgid" not in results:
        return ""
    lines = []
    for name in results:
        if name != "asgid":
            lines.append("asgid / %s: %.2f times the requests/s, "
                         "%.2f times the user CPU a request" % (
                             name, median("asgid", "rps") /
                             max(median(name, "rps"), 1e-9),
                             median("asgid", "user") /
                             max(median(name, "user"), 1e-9)))
    return "\n".join(lines + [""])


def first_line(command, pattern=r"(.*)"):
    try:
        r = subprocess.run(command, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        found = re.search(pattern, r.stdout)
        return found[1].strip() if found else "?"
    except OSError:
        return "not there"


def about(args):
    """Machine, kernel, versions, command."""
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    commit = first_line(["git", "-C", servers.HERE, "describe", "--always",
                         "--dirty"])
    versions = ", ".join(
        f"{p} {importlib.metadata.version(p)}" for p in (
            "uvicorn", "uvloop", "httptools", "fastpysgi", "granian",
            "fastapi", "pydantic"))
    return "\n".join([
        f"* when: {datetime.datetime.now():%Y-%m-%d %H:%M}",
        f"* machine: {platform.node()}, {os.cpu_count()} x "
        f"{model[1] if model else platform.machine()}, "
        f"load {os.getloadavg()[0]:.2f} at the start",
        f"* kernel: {platform.release()}",
        "* asgid: " + first_line([os.path.join(
            servers.BUILD, "src", "asgid"), "--version"],
            r"(?s)(.*)").replace("\n", ", ") + f", commit {commit}",
        f"* peers: {versions}",
        f"* Python {platform.python_version()} ({servers.PYTHON}), "
        f"{first_line(['wrk', '-v'], r'(wrk [^ ]+)')}",
        f"* command: tests/bench/bench.py {' '.join(sys.argv[1:])}",
        f"* {args.rounds} interleaved rounds, {args.seconds} s each after "
        f"{args.warmup} s of warm-up, {args.connections} keep-alive "
        f"connections, server on core {args.server_core}, wrk on core "
        f"{args.client_core}; median (min-max)", ""])


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("-r", "--rounds", type=int, default=3)
    p.add_argument("-d", "--seconds", type=int, default=5)
    p.add_argument("--warmup", type=int, default=1, metavar="SECONDS")
    p.add_argument("-c", "--connections", type=int, default=64)
    p.add_argument("-s", "--servers", default=",".join(servers.SERVERS),
                   help="some of %(default)s")
    p.add_argument("-w", "--works", default=",".join(WORKS),
                   help="some of %(default)s")
    p.add_argument("--server-core", type=int, default=0)
    p.add_argument("--client-core", type=int, default=1)
    p.add_argument("--write", action="store_true",
                   help="also to results/DATE-MACHINE.md")
    args = p.parse_args()
    args.servers = args.servers.split(",")
    args.works = args.works.split(",")
    for known, given in (servers.SERVERS, args.servers), (WORKS, args.works):
        for name in given:
            if name not in known:
                p.error(f"{name} is none of {', '.join(known)}")
    return args


def main():
    args = arguments()
    text = [about(args)]
    print(text[0], flush=True)
    results = {w: {} for w in args.works}
    for n in range(args.rounds):
        for work in args.works:
            for name in args.servers:
                found = measure_alive(args, name, work)
                if found is not None:
                    results[work].setdefault(name, []).append(found)
                    print(f"round {n + 1} {work} {name}: "
                          f"{found['rps']:.0f}/s", file=sys.stderr)
    for work in args.works:
        text.append(table(results[work], work))
        text.append(ratios(results[work]))
        print("\n".join(text[-2:]), flush=True)
    if args.write:
        folder = os.path.join(servers.HERE, "results")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{datetime.date.today()}-"
                            f"{platform.node()}.md")
        with open(path, "w") as f:
            f.write("# Side by side with peers\n\n" + "\n".join(text))
        print("written to", path)


if __name__ == "__main__":
    main()
