# SPDX-License-Identifier: BSD-3-Clause
"""asgictl as a process, on pipes or on a terminal, and peers for it that are
not asgid."""
import codecs
import contextlib
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

BUILD = pathlib.Path(os.environ.get("ASGID_BUILD") or os.getcwd())
ASGICTL = str(BUILD / "src" / "asgictl" / "asgictl")
SCALE = float(os.environ.get("ASGID_TEST_SCALE", "1"))
# of what must come: it ends a hang, and decides nothing
DEADLINE = 60.0 * SCALE

# as results.def and the manual have them
DONE, FAILED, USAGE, NOT_RUNNING, DENIED, TIMEOUT, CONFIG = range(7)


def environment(**more):
    env = {k: v for k, v in os.environ.items()
           if k not in ("NO_COLOR", "XDG_RUNTIME_DIR", "WEB_CONCURRENCY")}
    env["TERM"] = "xterm"
    env.update(more)
    return {k: v for k, v in env.items() if v is not None}


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return "status %d\nstdout:\n%s\nstderr:\n%s" % (
            self.status, self.out, self.err)


def interruptible():
    """Also when we were started in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*words, env=None, **popen):
    popen.setdefault("preexec_fn", interruptible)
    return subprocess.Popen(
        [ASGICTL, *map(str, words)], stdin=subprocess.DEVNULL,
        stdout=popen.pop("stdout", subprocess.PIPE),
        stderr=popen.pop("stderr", subprocess.PIPE), text=True,
        env=environment(**(env or {})), **popen)


def finish(p):
    try:
        out, err = p.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
        raise AssertionError("asgictl does not end: %r %r" %
                             (out, err)) from None
    return Result(p.returncode, out, err)


def asgictl(*words, **kw):
    return finish(start(*words, **kw))


class Terminal:
    """asgictl with a terminal as standard output and/or standard error."""

    def __init__(self, *words, files=("stdout", "stderr"), columns=80,
                 **kw):
        self.fd, other = pty.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, columns, 0, 0))
        self.text = ""
        # a piece may end inside a character
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.process = start(*words, **{f: other for f in files}, **kw)
        os.close(other)

    def read(self, until=None):
        """Until this text has come, or the end."""
        end = time.monotonic() + DEADLINE
        while until is None or until not in self.text:
            if not select.select([self.fd], [], [],
                                 max(0, end - time.monotonic()))[0]:
                self.process.kill()
                raise AssertionError("no %r in %r" % (until, self.text))
            try:
                data = os.read(self.fd, 4096)
            except OSError:         # EIO: nobody has it open any more
                data = b""
            if not data:
                break
            self.text += self.decoder.decode(data)
        return self.text

    def finish(self):
        self.read()
        os.close(self.fd)
        r = finish(self.process)
        return Result(r.status, r.out, r.err)


def screen(text):
    """What remains of one line after \\r and erase to its end; colours are
    left out."""
    line = ""
    column = 0
    text = re.sub(r"\033\[[\d;]*m", "", text.replace("\r\n", "\n"))
    for part in re.split(r"(\r|\033\[K)", text):
        if part == "\r":
            column = 0
        elif part == "\033[K":
            line = line[:column]
        else:
            line = line[:column] + part + line[column + len(part):]
            column += len(part)
    return line


def poll(condition, what):
    """Wait until condition() is true."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "timed out: " + what
        time.sleep(0.001)


def answer(code, text):
    text = text.encode()
    return b"%d %d\n%s" % (code, len(text), text)


class Peer:
    """Listens where asgid would; `talk(connection, line)` is what it does
    with each request. The lines that it got are in .lines."""

    def __init__(self, path, talk, kind=socket.SOCK_STREAM):
        self.path, self.talk = str(path), talk
        self.lines = []
        self.error = self.current = None
        self.closing = False
        self.sock = socket.socket(socket.AF_UNIX, kind)
        self.sock.bind(self.path)
        if kind == socket.SOCK_STREAM:
            self.sock.listen(8)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while True:
                c, _ = self.sock.accept()
                with c:
                    self.current = c
                    if self.closing:    # it had not been accepted yet
                        return
                    c.settimeout(DEADLINE)
                    line = b""
                    while not line.endswith(b"\n"):
                        data = c.recv(4096)
                        if not data:
                            break
                        line += data
                    self.lines.append(line.decode())
                    self.talk(c)
        except OSError as e:        # shut down by close(), or a broken pipe
            self.error = e

    def close(self):
        """The thread first: it must not accept at a number that has become
        somebody else's."""
        self.closing = True
        for s in self.sock, self.current:
            if s is not None:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
        self.thread.join(DEADLINE)
        self.sock.close()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def says(*data):
    """A talk for Peer: send these, then close."""
    def talk(c):
        for d in data:
            c.sendall(d)
    return talk
