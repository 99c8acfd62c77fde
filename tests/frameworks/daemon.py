# SPDX-License-Identifier: BSD-3-Clause
"""One asgid under test: starts it, watches its log, checks that it leaves
nothing behind. ASGID_TESTS_SERVER=uvicorn runs uvicorn in its place."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
APPS = os.path.join(HERE, "apps")
UVICORN = os.environ.get("ASGID_TESTS_SERVER", "asgid") == "uvicorn"
STRICT = os.environ.get("ASGID_TESTS_STRICT", "0") == "1"
MARK = "ASGID_TEST_ID"

# what begins a record of the log: ours and uvicorn's, Quart's "[time] ERROR in
# app: ", and Python's own warnings
RECORD = re.compile(r"^(?:\[[^]]*\] )?"
                    r"(TRACE|DEBUG|INFO|WARNING|ERROR|CRITICAL)(?::| in )\s*"
                    r"|^\S+:\d+: (\w*Warning): ")



def wait_for(condition, what, seconds=60.0):
    """Wait until condition() is true, and return its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            what = what() if callable(what) else what
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.01)


def program(name, package):
    """The path of a client program; None when it is missing."""
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None and STRICT:
        raise AssertionError(f"{name} is missing: install {package}")
    return path


def children(pid):
    pids = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                pids += [int(p) for p in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return pids


def descriptors(pid):
    """What a process has open: a sorted list of kinds. Numbers of sockets,
    pipes and the like do not matter, only how many there are."""
    kinds = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
            kinds.append(re.sub(r":\[\d+\]$", "", link))
    return sorted(kinds)


def marked(mark):
    """All processes, orphans too, that carry our mark in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if f"{MARK}={mark}".encode() in f.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            pass
    return found


class Server:
    """app: MODULE:ATTR of a module in apps/. options: uvicorn's, and ours
    as "-o", "key=value". uds: listen on this path, not on a port."""

    def __init__(self, app, folder, options=(), env=None, uds=None):
        self.app = app
        self.folder = str(folder)
        self.options = list(options)
        self.mark = uuid.uuid4().hex
        self.uds = uds
        self.url = None
        self.port = None
        self.expectations = []
        if UVICORN:         # it tells of every send() to a client that left
            self.expectations.append(r"socket.send\(\) raised")
        elif os.getuid() == 0:
            self.expectations.append("^WARNING: +the application runs as root")
        self.error_log = os.path.join(self.folder, "error.log")
        self.access_log = os.path.join(self.folder, "access.log")
        self.env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1",
                        PYTHONUNBUFFERED="1", **(env or {}))
        self.env[MARK] = self.mark
        # the interpreter itself leaks at exit by design
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=0")

    def command(self):
        bind = ["--uds", self.uds] if self.uds else \
            ["--host", "127.0.0.1", "--port", "0"]
        if UVICORN:
            return [sys.executable, "-m", "uvicorn", self.app, "--app-dir",
                    APPS, *bind, *self.options]
        return [os.path.join(os.environ["ASGID_BUILDDIR"], "src", "asgid"),
                self.app, "--app-dir", APPS, *bind,
                "-o", "python.venv=" + os.environ["ASGID_TESTS_VENV"],
                "-o", "control.socket=",
                # a busy machine lets clients wait
                "-o", "timeouts.header=10m", "-o", "timeouts.keep_alive=10m",
                *self.options]

    def start(self):
        with open(self.error_log, "wb") as err, \
                open(self.access_log, "wb") as out:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out,
                stderr=err, env=self.env, cwd=self.folder)
        wait_for(self._ready, lambda: f"{self.app} to run:\n{self.log()}")
        self.baseline = self.descriptors()

    def _ready(self):
        assert self.process.poll() is None, \
            f"{self.app} ended with {self.process.returncode}:\n{self.log()}"
        found = re.search(r"running on (\S+)", self.log())
        if found and not self.uds:
            self.url = found[1]
            self.port = int(self.url.rsplit(":", 1)[1])
        return found

    def log(self):
        with open(self.error_log, errors="replace") as f:
            return f.read()

    def access(self):
        with open(self.access_log, errors="replace") as f:
            return f.read()

    def workers(self):
        return [self.process.pid] if UVICORN else children(self.process.pid)

    def descriptors(self):
        return [descriptors(pid) for pid in self.workers()]

    def records(self):
        """The error log as a list of [level, text]; lines that continue a
        record (tracebacks) belong to it."""
        found = []
        for line in self.log().splitlines():
            begins = RECORD.match(line)
            if begins:
                found.append([begins[1] or begins[2], line])
            elif found:
                found[-1][1] += "\n" + line
            else:
                found.append(["", line])
        return found

    @contextlib.contextmanager
    def expected(self, *patterns):
        """What happens inside logs a record that matches each pattern
        (re.DOTALL); such records are no fault afterwards."""
        before = len(self.log())
        yield
        for pattern in patterns:
            wait_for(lambda: re.search(pattern, self.log()[before:],
                                       re.DOTALL),
                     lambda: f"{pattern!r} in the log:\n{self.log()}")
        self.expectations += patterns

    def check(self):
        """Nothing unexpected in the log, no descriptor leaked."""
        wait_for(lambda: self.process.poll() is not None or
                 self.descriptors() == self.baseline,
                 lambda: f"descriptors to be as at the start:\n"
                 f"{self.baseline}\nbut they are\n{self.descriptors()}")
        assert self.process.poll() is None, \
            f"ended with {self.process.returncode}:\n{self.log()}"
        self.check_log()

    def check_log(self):
        for level, text in self.records():
            fine = level in ("TRACE", "DEBUG", "INFO") and "\n" not in text
            assert fine or any(re.search(p, text, re.DOTALL)
                               for p in self.expectations), \
                f"not expected in the log:\n{text}"

    def stop(self):
        """TERM, and wait until all is gone."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop on TERM:\n{self.log()}")
        assert status == (-signal.SIGTERM if UVICORN else 0), \
            f"ended with {status}:\n{self.log()}"
        wait_for(lambda: not marked(self.mark),
                 lambda: f"processes to end: {marked(self.mark)}")
        self.check_log()

    def kill(self):
        """Whatever is left of it, after a failure."""
        for pid in marked(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
