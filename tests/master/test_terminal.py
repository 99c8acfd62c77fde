# SPDX-License-Identifier: BSD-3-Clause
"""The master in a terminal, which its session's leader shares with it."""
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import termios

import pytest

from conftest import DEADLINE, root_only

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
