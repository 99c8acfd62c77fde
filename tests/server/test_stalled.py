# SPDX-License-Identifier: BSD-3-Clause
"""Logs whose reader has stopped: a full pipe, terminal or socket as standard
output or standard error holds up neither a worker nor the master."""
import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import socket
import subprocess

import pytest

import harness
from harness import APPS, Connection, poll, program

REQUESTS = 1200                 # far more than fit
LOST = re.compile(r"(\d+) line\(s\) (?:of this log )?were dropped: nobody "
                  r"read them in time")


def a_pipe():
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    return read, write


def a_socket():
    read, write = socket.socketpair()
    return read.detach(), write.detach()


class Output:
    """What nobody reads until the test does."""

    def __init__(self, kind):
        self.fd, self.theirs = {"pipe": a_pipe, "terminal": pty.openpty,
                                "socket": a_socket}[kind]()
        os.set_blocking(self.fd, False)
        self.text = ""

    def read(self):
        """What is there now, too."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.text += os.read(self.fd, 65536).decode()
        return self.text

    def close(self):
        os.close(self.fd)
        os.close(self.theirs)


class Site:
    def __init__(self, tmp, app, out, err):
        self.out, self.err = out, err
        self.path, self.control = str(tmp / "s"), str(tmp / "c")
        # no deadline of its own helps it along
        patient = [w for o in ("graceful", "shutdown", "write", "keep_alive")
                   for w in ("-o", "timeouts.%s=10m" % o)]
        self.proc = subprocess.Popen(
            [program(), app + ":app", "--app-dir", str(APPS), "--uds",
             self.path, "-o", "control.socket=" + self.control,
             "-o", "log.format=common", *patient],
            stdin=subprocess.DEVNULL, stdout=out.theirs, stderr=err.theirs,
            start_new_session=True, cwd=tmp,
            env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
        self.client = poll(self.connect, lambda: err.read())

    def connect(self):
        with contextlib.suppress(OSError):
            return Connection(self.path)

    def get(self, target, status=200):
        r = self.client.request("GET", target)
        assert r.status == status, (target, self.err.read())
        if "close" in r.tokens("connection"):
            self.client.close()
            self.client = self.connect()

    def stats(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(harness.DEADLINE)
            s.connect(self.control)
            s.sendall(b"stats --json\n")
            f = s.makefile("rb")
            code, size = f.readline().split()
            assert code == b"200"
            return json.loads(f.read(int(size)))

    def command(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(harness.DEADLINE)
            s.connect(self.control)
            s.sendall(line.encode() + b"\n")
            return int(s.makefile("rb").readline().split()[0])

    def stop(self):
        """With nobody who reads."""
        self.proc.send_signal(signal.SIGTERM)
        assert self.proc.wait(harness.DEADLINE) == 0


@pytest.fixture
def site(tmp_path):
    made, outputs = [], []

    def start(app, out, err=None):
        outputs[:] = [Output(out), Output(err or "pipe")]
        made.append(Site(tmp_path, app, *outputs))
        return made[0]

    yield start
    for s in made:
        s.client.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(s.proc.pid, signal.SIGKILL)
        s.proc.wait()
    for o in outputs:
        o.close()


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_access_log(site, kind):
    s = site("conns", kind)
    for i in range(REQUESTS):
        s.get("/fast/%d" % i)

    def dropped():
        return s.stats()["log_lines_dropped"]

    # those of before are all there, and whole
    poll(lambda: dropped() + s.out.read().count("\n") == REQUESTS,
         lambda: "%d + %d" % (dropped(), s.out.text.count("\n")))
    lost = dropped()
    assert lost > REQUESTS / 10
    kept = re.findall(r'- - - \[.*\] "GET /fast/(\d+) HTTP/1.1" 200 \d+\n',
                      s.out.text)
    assert len(kept) + lost == REQUESTS
    assert kept == [str(i) for i in range(len(kept))]
    # it flows again: that is told, in the other log, and once
    for i in range(3):
        s.get("/fast/again")
    poll(lambda: s.out.read().count("/again") == 3, s.out.read)
    poll(lambda: LOST.search(s.err.read()), s.err.read)
    assert LOST.findall(s.err.text) == [str(lost)]
    assert "WARNING:  access log: %d line(s)" % lost in s.err.text
    assert dropped() == lost
    s.stop()


def access(s):
    """What is told of the access log."""
    return sum(map(int, re.findall(r"access log: (\d+) line", s.err.text)))


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_error_log(site, kind):
    """Tracebacks of the application, and the master's own lines."""
    s = site("fails", "pipe", kind)
    for i in range(REQUESTS):
        s.get("/before/value", 500)
    poll(lambda: s.stats()["log_lines_dropped"] > REQUESTS, "lines")
    for i in range(100):
        assert s.command("reopen") == 200
    assert s.stats()["master_log_lines_dropped"] > 100
    # as many as both say when they are heard again
    s.out.read()
    s.err.read()
    assert s.command("reopen") == 200
    s.get("/before/value", 500)

    def told():
        return sum(int(n) for n in re.findall(
            r"^WARNING:  (\d+) line\(s\) of this log were dropped: ",
            s.err.read().replace("\r", ""), re.M))

    def counted():
        now = s.stats()
        return now["log_lines_dropped"] + now["master_log_lines_dropped"]

    poll(lambda: s.out.read() and told() == counted() - access(s),
         lambda: "%d, %d" % (told(), counted()))
    s.stop()


@pytest.mark.parametrize("kind", ["pipe", "terminal", "socket"])
def test_stop(site, kind):
    """Everything is full, and stays so."""
    s = site("fails", kind, kind)
    for i in range(REQUESTS):
        s.get("/before/value", 500)
    for i in range(100):
        assert s.command("reopen") == 200
    assert s.stats()["log_lines_dropped"] > REQUESTS
    s.stop()


def test_shared_descriptions_stay_as_they_are(site):
    """O_NONBLOCK would surprise whoever else writes there."""
    s = site("conns", "pipe")
    s.get("/fast")
    for o in (s.out, s.err):
        assert not fcntl.fcntl(o.theirs, fcntl.F_GETFL) & os.O_NONBLOCK
    s.stop()
