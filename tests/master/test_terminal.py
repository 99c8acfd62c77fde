# SPDX-License-Identifier: BSD-3-Clause
"""The master in a terminal, which its session's leader shares with it."""
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import sys
import termios

import pytest

from conftest import DEADLINE, all_pids, poll, root_only, stat_of

# What leads the session: its end would take with it what nobody has read yet
# of the terminal. The keys are for the others.
SESSION = ["sh", "-c", 'trap "" INT QUIT; "$@"; echo "status $?."; read end',
           "sh"]
LISTEN = 'listen = ({ address = "127.0.0.1:0"; });\n'


class Terminal:
    """asgid in the foreground of a terminal of its own."""

    def __init__(self, asgid, *args, wrapper=SESSION, conf=None, **kw):
        self.fd, slave = pty.openpty()
        self.text = ""

        def control():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.asgid = asgid(*args, conf=conf, stdin=slave, stdout=slave,
                           stderr=slave, env={"NO_COLOR": "1"},
                           preexec_fn=control, wrapper=wrapper, **kw)
        os.close(slave)

    def read(self, *wanted):
        """Until each of these patterns is there so many times."""
        while any(len(re.findall(p, self.text)) < n for p, n in wanted):
            if not select.select([self.fd], [], [], DEADLINE)[0]:
                raise AssertionError(self.text)
            try:
                self.text += os.read(self.fd, 4096).decode()
            except OSError:     # the other side is closed
                raise AssertionError(self.text) from None
        return self.text

    def serving(self, workers=1):
        self.read((r"CTRL\+C", 1), (r"fake: go", workers))
        self.pid = int(re.search(r"Started asgid \[(\d+)\]", self.text)[1])
        return self

    def workers(self):
        return [int(n) for n in re.findall(
            r"Started worker process \[(\d+)\]", self.text)]

    def type(self, keys):
        os.write(self.fd, keys)

    def end(self):
        """asgid has ended: so shall its session."""
        self.read((r"status \d+\.", 1))
        self.type(b"end\n")
        self.asgid.wait()
        return self.text

    def close(self):
        if self.fd != -1:
            os.close(self.fd)
        self.fd = -1


@pytest.fixture
def terminal(asgid):
    opened = []

    def start(*args, **kw):
        opened.append(Terminal(asgid, *args, **kw))
        return opened[-1]

    yield start
    for t in opened:
        t.close()


def session_of(pid):
    """(session, terminal) of a process"""
    text = pathlib.Path("/proc/%d/stat" % pid).read_text()
    words = text.rpartition(")")[2].split()
    return int(words[3]), int(words[4])


# ---- keys ------------------------------------------------------------------

@pytest.mark.parametrize("user", ["", pytest.param('user = "nobody";',
                                                   marks=root_only)])
@pytest.mark.parametrize("key, drained", [(b"\x03", True), (b"\x1c", False)])
def test_keys(terminal, key, drained, user):
    t = terminal("--workers", "2", conf=LISTEN + user).serving(2)
    t.type(key)
    text = t.end()
    assert ("fake: drain" in text) == drained
    assert text.count("Finished worker process") == 2
    assert "Finished asgid [%d]" % t.pid in text and "status 0." in text
    text = text.replace("WARNING:  the application runs as root", "")
    assert not re.search("ERROR|CRITICAL|WARNING|Sanitizer", text), text


# ---- what workers of another user can do to it -----------------------------

@root_only
def test_dropped_workers_have_left_the_terminal(terminal):
    t = terminal(conf=LISTEN + 'user = "nobody";', fake="type").serving()
    worker, = t.workers()
    assert session_of(worker) == (worker, 0)
    assert session_of(t.pid)[1] != 0
    assert os.readlink("/proc/%d/fd/0" % worker) == "/dev/null"
    for fd in (1, 2):           # to write to, not to read from
        info = pathlib.Path("/proc/%d/fdinfo/%d" % (worker, fd)).read_text()
        flags = int(re.search(r"^flags:\s+(\d+)", info, re.M)[1], 8)
        assert flags & os.O_ACCMODE == os.O_WRONLY
        assert os.readlink("/proc/%d/fd/%d" % (worker, fd)).startswith(
            "/dev/pts/")
    for fd in range(3):
        assert re.search(r"fake: typing %d: (?!done)" % fd, t.text), t.text
    os.kill(t.pid, signal.SIGTERM)
    assert "status 0." in t.end()


def test_workers_of_the_same_user_stay(terminal):
    """So that a debugger in the application can be talked to."""
    t = terminal(fake="report").serving()
    worker, = t.workers()
    assert session_of(worker) == session_of(t.pid)
    assert os.readlink("/proc/%d/fd/0" % worker).startswith("/dev/pts/")
    os.kill(t.pid, signal.SIGTERM)
    assert "status 0." in t.end()


# ---- its signals -----------------------------------------------------------

class Screen:
    """A terminal that asgid leads, with its log elsewhere."""

    def __init__(self):
        self.fd, self.slave = pty.openpty()

    def lead(self):
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def close(self):
        for fd in (self.fd, self.slave):
            os.close(fd)


def test_closed_terminal_ends_it(asgid):
    s = Screen()
    a = asgid(stdin=s.slave, preexec_fn=s.lead).serving()
    s.close()
    assert a.wait() == 0
    assert "The terminal was closed, shutting down" in a.log
    assert "SIGHUP" not in a.log and "fake: drain" in a.log


@pytest.mark.parametrize("how", ["configured", "nohup"])
def test_closed_terminal_ends_no_daemon(asgid, how):
    s = Screen()

    def nohup():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        s.lead()

    a = (asgid(stdin=s.slave, preexec_fn=nohup) if how == "nohup" else
         asgid(conf=LISTEN, stdin=s.slave, preexec_fn=s.lead)).serving()
    s.close()
    a.wait_log("The terminal was closed$")
    assert a.ask() == a.worker()
    # an operator's is heard
    a.signal(signal.SIGHUP)
    a.wait_log("Reloaded")
    a.stop()


# Leads the session; asgid is in the background. Its reader is one more of
# asgid's group, as a worker is that reads its standard input.
BACKGROUND = """
import os, signal, subprocess, sys
p = subprocess.Popen(sys.argv[1:], preexec_fn=os.setpgrp)
for line in iter(lambda: os.read(int(os.environ["COMMANDS"]), 1), b""):
    if line == b"r" and os.fork() == 0:
        os.setpgid(0, p.pid)
        os.read(0, 1)
        os._exit(0)
print("status %d." % p.wait())
"""


def state_of(pid, key):
    text = pathlib.Path("/proc/%d/status" % pid).read_text()
    return re.search(r"^%s:\s+(\w+)" % key, text, re.M)[1]


@pytest.fixture
def background(terminal):
    reading, commands = os.pipe()
    os.set_inheritable(reading, True)
    os.environ["COMMANDS"] = str(reading)
    try:
        t = terminal("--workers", "1", wrapper=[
            sys.executable, "-c", BACKGROUND], pass_fds=[reading])
    finally:
        del os.environ["COMMANDS"]
        os.close(reading)
    t.serving()
    t.commands = commands
    yield t
    os.kill(t.pid, signal.SIGTERM)
    os.close(commands)
    t.read((r"status 0\.", 1))
    t.asgid.wait()


def test_reader_in_the_background_scales_nothing(background):
    t = background
    os.write(t.commands, b"r")
    leader = t.asgid.pid

    def stopped():
        return [p for p in all_pids() if (stat_of(p) or (0, 0)) ==
                ("T", leader)]

    reader, = poll(stopped, "the reader is stopped")
    mark = 1 << signal.SIGTTIN - 1
    poll(lambda: not int(state_of(t.pid, "ShdPnd"), 16) & mark, "heard")
    worker, = t.workers()
    os.kill(worker, signal.SIGCONT)
    os.kill(t.pid, signal.SIGTTIN)
    t.read((r"Now \d worker", 1), (r"fake: go", 2))
    os.kill(t.pid, signal.SIGTTOU)
    t.read((r"Now \d worker", 2))
    assert re.findall(r"Now (\d) worker", t.text) == ["2", "1"]
    os.kill(reader, signal.SIGKILL)


def test_writing_to_a_terminal_that_stops_writers(background):
    t = background
    mode = termios.tcgetattr(t.fd)
    mode[3] |= termios.TOSTOP
    termios.tcsetattr(t.fd, termios.TCSANOW, mode)
    os.kill(t.pid, signal.SIGUSR1)
    t.read((r"Log files reopened", 1))
    mode[3] &= ~termios.TOSTOP
    termios.tcsetattr(t.fd, termios.TCSANOW, mode)


def test_signals_of_other_servers(asgid):
    a = asgid().serving()
    for signo in (signal.SIGUSR2, signal.SIGWINCH, signal.SIGALRM,
                  signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO,
                  signal.SIGPWR):
        a.signal(signo)
        a.wait_log("WARNING:  Received signal SIG%s, which means nothing" % (
            "(POLL|IO)" if signo == signal.SIGIO else signo.name[3:]))
    a.signal(signal.SIGRTMIN + 3)
    a.wait_log("Received signal %d, which" % (signal.SIGRTMIN + 3))
    assert a.ask() == a.worker()
    a.stop()
