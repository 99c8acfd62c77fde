#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Administration by dice: reloads good and broken, other listeners, scaling,
restarts of workers, log rotation, statistics, one upon the other, while eight
clients upload and download without a pause; with --kill also workers that are
killed, stopped and continued. Ends with 1 when a command's exit status was
not the right one, a request was lost (but for those of killed workers), a
reload's answer came before the old code was gone, or the master has grown."""

import argparse
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import servers

CLIENTS = 8
WARM_UP = 60            # actions until the allocator has what it wants
SIZES = 0, 10, 5000, 200000

APP = "import bench_app; app = bench_app.sizes_of(%d)"
BROKEN_APPS = "import nowhere", "def app(:", "raise SystemExit(3)", \
    "import os; os.abort()", "import os; os.kill(os.getpid(), 9)", """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
"""
BROKEN_CONFS = "nonsense = 1;", "workers = { count = -1; };", "}}}"


def ask(s, n=0, path="/", end=""):
    """What the application says: how much it got, its version."""
    s.sendall(b"POST %s HTTP/1.1\r\nHost: chaos\r\n%sContent-Length: %d\r\n"
              b"\r\n%s" % (path.encode(), end.encode(), n, b"x" * n))
    data, whole = b"", None
    while whole is None or len(data) < whole:
        block = s.recv(65536)
        if not block:
            raise OSError(f"closed after {data!r}")
        data += block
        if whole is None and b"\r\n\r\n" in data:
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", data)
            whole = data.index(b"\r\n\r\n") + 4 + int(length[1])
    received, version = map(int, data[data.index(b"\r\n\r\n") + 4:].split())
    if not data.startswith(b"HTTP/1.1 200 ") or received != n:
        raise OSError(f"sent {n}, answer {data!r}")
    return version, b"\r\nConnection: close\r\n" not in data


class Client(threading.Thread):
    def __init__(self, connect, dice, keep, stop):
        super().__init__(daemon=True)
        self.connect, self.dice, self.keep = connect, dice, keep
        self.stop, self.count, self.failed = stop, 0, []

    def run(self):
        s = None
        while not self.stop.is_set():
            again = False
            try:
                s = s or self.connect()
                path = "/slow" if self.dice.random() < 0.01 else "/"
                _, again = ask(s, self.dice.choice(SIZES), path)
                self.count += 1
            except OSError as e:
                self.failed.append((time.monotonic(), repr(e)))
            if not (again and self.keep) and s:
                s.close()
                s = None


class Chaos:
    def __init__(self, folder, dice):
        self.folder, self.dice, self.version = folder, dice, 0
        self.ports = servers.free_port(), servers.free_port()
        self.wrong, self.killed, self.done = [], [], []
        self.new_app()
        self.configure()

    def write(self, name, text):
        new = f"{self.folder}/{name}.new"
        with open(new, "w") as f:
            f.write(text)
        os.rename(new, f"{self.folder}/{name}")

    def new_app(self, broken=None):
        self.version += broken is None
        self.write("chaos_app.py", broken or APP % self.version)

    def configure(self, more="", ports=1, access="access.log"):
        d = self.folder
        listen = [f'{{ address = "127.0.0.1:{p}"; }}'
                  for p in self.ports[:ports]] + [f'{{ unix = "{d}/u"; }}']
        self.dice.shuffle(listen)
        self.write("conf", f'''app = "chaos_app:app"; app_dir = "{d}";
            listen = ({", ".join(listen)}); workers = {{ count = 2; }};
            log = {{ error = "{d}/log"; access = "{d}/{access}"; }};
            control = {{ socket = "{d}/control"; }};\n{more}\n''')

    def tcp(self):
        return socket.create_connection(("127.0.0.1", self.ports[0]), 60)

    def unix(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60)
        s.connect(self.folder + "/u")
        return s

    def popen(self, *words):
        return subprocess.Popen(
            servers.asgictl(self.folder + "/control", *words), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def finish(self, running, *right):
        out, _ = running.communicate(timeout=180)
        if running.returncode not in right:
            self.wrong.append(f"{' '.join(running.args[3:])}: exit status "
                              f"{running.returncode}: {out}")
        return out

    def ctl(self, *words, right=(0,)):
        return self.finish(self.popen(*words), *right)

    def pids(self):
        return [w["pid"] for w in json.loads(self.ctl("workers", "--json"))
                if "pid" in w]

    # ---- what may be done ----

    def reload(self):
        self.new_app()
        self.ctl("reload")
        with self.tcp() as s:
            version, _ = ask(s, end="Connection: close\r\n")
        if version != self.version:
            self.wrong.append(f"version {version} after {self.version}")

    def reload_broken_app(self):
        self.ctl("wait", "ready", "60s")    # nobody else is to load it
        self.new_app(self.dice.choice(BROKEN_APPS))
        self.ctl("reload", right=(1,))
        self.new_app()

    def reload_broken_conf(self):
        self.configure(self.dice.choice(BROKEN_CONFS))
        self.ctl("reload", right=(6,))
        self.configure()

    def reload_listeners(self):
        self.configure(ports=2)
        self.ctl("reload")
        self.configure()
        self.ctl("reload")

    def reload_logs(self):
        self.configure(access="other.log")
        self.ctl("reload")
        self.configure()

    def reload_twice(self):
        first = self.popen("reload")
        self.ctl("reload", right=(0, 1))
        self.finish(first, 0, 1)

    def reload_and_leave(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.folder + "/control")
            s.sendall(b"reload\n")
        self.ctl("wait", "ready", "60s")

    def hang_up(self):
        os.kill(self.master, signal.SIGHUP)
        self.ctl("wait", "ready", "60s")

    def signals(self):
        os.kill(self.master, self.dice.choice(
            (signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1)))

    def scale(self):
        self.ctl("scale", str(self.dice.randint(1, 4)))

    def restart(self):
        # it may be the one that is being replaced
        self.ctl("restart-worker", "1", right=(0, 1))

    def rotate(self):
        os.rename(self.folder + "/log", self.folder + "/log.1")
        self.ctl("reopen")

    def look(self):
        for words in (("status",), ("workers",), ("config",),
                      ("check", "--diff"), ("stats",), ("stats", "--json"),
                      ("stats", "--openmetrics")):
            self.ctl(*words)

    def kill(self):
        os.kill(self.dice.choice(self.pids()), self.dice.choice(
            (signal.SIGKILL, signal.SIGABRT, signal.SIGTERM)))

    def kill_in_reload(self):
        running = self.popen("reload")
        time.sleep(self.dice.random() * 0.3)
        self.kill()
        self.finish(running, 0, 1)

    def stop_and_continue(self):
        pid = self.dice.choice(self.pids())
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)
        os.kill(pid, signal.SIGCONT)

    gentle = (reload, reload_broken_app, reload_broken_conf, reload_listeners,
              reload_logs, reload_twice, reload_and_leave, hang_up, signals,
              scale, restart, rotate, look)
    rough = kill, kill_in_reload, stop_and_continue

    def act(self, action):
        self.done.append((time.monotonic(), action.__name__))
        try:
            action(self)
        except ProcessLookupError:
            pass                        # its victim was gone already
        if action in self.rough:
            self.killed.append((self.done[-1][0], time.monotonic()))
            self.ctl("wait", "ready", "180s")

    def excused(self, when):
        return any(a <= when <= b + 1 for a, b in self.killed)


def size(chaos):
    """Descriptors and memory of the master at rest."""
    chaos.configure()
    chaos.ctl("wait", "ready", "180s")
    chaos.ctl("reload")
    chaos.ctl("wait", "drained", "180s")
    return servers.descriptors(chaos.master), servers.rss(chaos.master)


def run(chaos, args, clients):
    actions = chaos.gentle + (chaos.rough if args.kill else ())
    end, before = time.monotonic() + args.seconds, None
    chaos.ctl("wait", "ready", "60s")
    for c in clients:
        c.start()
    for i in itertools.count():
        if i == WARM_UP:
            before = size(chaos)
        if time.monotonic() > end and i > WARM_UP:
            return i, before, size(chaos)
        chaos.act(chaos.dice.choice(actions))
        if chaos.dice.random() < 0.3:
            chaos.ctl("wait", "ready", "180s")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("-s", "--seconds", type=float, default=60,
                   help="(%(default)s)")
    p.add_argument("--seed", type=int, default=int(time.time()),
                   help="to throw the same dice again")
    p.add_argument("--kill", action="store_true", help="workers, too")
    args = p.parse_args()
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as d:
        chaos = Chaos(d, random.Random(args.seed))
        clients = [Client(chaos.unix if i % 4 == 3 else chaos.tcp,
                          random.Random(args.seed + i), i % 3, stop)
                   for i in range(CLIENTS)]
        command = [os.path.join(servers.BUILD, "src", "asgid"), "-c",
                   d + "/conf"]
        with servers.running(command, chaos.ports[0],
                             env={"PYTHONPATH": servers.APPS}) as server:
            chaos.master = server.pid
            actions, before, after = run(chaos, args, clients)
            stop.set()
            for c in clients:
                c.join(60)
    failed = [f for c in clients for f in c.failed]
    lost = [f for f in failed if not chaos.excused(f[0])]
    print(f"seed {args.seed}: {actions} actions, "
          f"{sum(c.count for c in clients)} requests, {len(failed)} failed, "
          f"{len(lost)} of them not with a killed worker\n"
          f"master: {before[0]} descriptors, {after[0]} at the end; "
          f"{before[1] // 1024} KiB resident, {after[1] // 1024} at the end")
    for when, what in lost:
        print(what, "after", [name for t, name in chaos.done if t < when][-2:])
    for text in chaos.wrong:
        print(text)
    grown = after[0] > before[0] or after[1] > before[1] + 256 * 1024
    return bool(lost or chaos.wrong or grown)


if __name__ == "__main__":
    sys.exit(main())
