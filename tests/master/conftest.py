# SPDX-License-Identifier: BSD-3-Clause
"""The master under test.  `asgid` starts src/asgid of the build folder
($ASGID_BUILD) with the fake worker, whose behaviour is a line of words (see
tests/unit/master/fakeworker.c).  After each test: nothing is left running
and no sanitizer has spoken."""
import atexit
import contextlib
import ctypes
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid

import pytest

BUILD = pathlib.Path(os.environ.get("ASGID_BUILD") or os.getcwd())
FAKE = str(BUILD / "tests" / "unit" / "master" / "fakeworker")


def beside_fake():
    """A copy of asgid, which finds the fake worker beside itself: root's takes
    no other from the environment."""
    folder = tempfile.mkdtemp(prefix="asgid-copy-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o755)
    shutil.copy(BUILD / "src" / "asgid", folder)
    os.symlink(FAKE, folder + "/asgid-worker")
    return folder + "/asgid"


ASGID = beside_fake()
SCALE = float(os.environ.get("ASGID_TEST_SCALE", "1"))
# of what must come: it ends a hang, and decides nothing
DEADLINE = 60.0 * SCALE

# for a program that is to have no privilege
ORDINARY = {"user": "nobody"} if os.geteuid() == 0 else {}
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def poll(condition, what, deadline=DEADLINE):
    """Wait until condition() is true; its value."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("timed out: %s" % (
                what() if callable(what) else what,))
        time.sleep(0.005)


def stat_of(pid):
    """(state, parent) or None; a zombie is dead."""
    try:
        text = pathlib.Path("/proc/%d/stat" % pid).read_text()
    except OSError:
        return None
    state, parent = text.rpartition(")")[2].split()[:2]
    return None if state in "ZX" else (state, int(parent))


def all_pids():
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


SYSCALLS = {
    "x86_64": (0xc000003e, {"setsockopt": 54, "memfd_create": 319,
                            "pidfd_open": 434, "clone": 56, "clone3": 435}),
    "aarch64": (0xc00000b7, {"setsockopt": 208, "memfd_create": 279,
                             "pidfd_open": 434, "clone": 220, "clone3": 435}),
}


def refusing(*calls):
    """A preexec_fn after which the kernel refuses these system calls, as an
    older one or a container's does: (name, errno), or (name, errno, index,
    value) for those with that argument."""
    if os.uname().machine not in SYSCALLS:
        pytest.skip("no system call numbers of this machine here",
                    allow_module_level=True)
    arch, numbers = SYSCALLS[os.uname().machine]
    # load the architecture, and pass if it is another; then each call
    code = [(0x20, 0, 0, 4), (0x15, 1, 0, arch), (0x06, 0, 0, 0x7fff0000)]
    for name, error, *argument in calls:
        verdict = [(0x06, 0, 0, 0x00050000 | error)]
        if argument:
            verdict = [(0x20, 0, 0, 16 + 8 * argument[0]),
                       (0x15, 0, 1, argument[1]), *verdict]
        code += [(0x20, 0, 0, 0), (0x15, 0, len(verdict), numbers[name]),
                 *verdict]
    code.append((0x06, 0, 0, 0x7fff0000))
    text = b"".join(struct.pack("HBBI", *line) for line in code)
    keep = ctypes.create_string_buffer(text)
    program = struct.pack("HP", len(code), ctypes.addressof(keep))
    libc = ctypes.CDLL(None, use_errno=True)

    def refuse(_keep=keep):
        if (libc.prctl(38, 1, 0, 0, 0) or      # PR_SET_NO_NEW_PRIVS
                libc.prctl(22, 2, program, 0, 0)):      # PR_SET_SECCOMP
            raise OSError(ctypes.get_errno(), "seccomp")

    return refuse


class Asgid:
    def __init__(self, tmp, args=(), conf=None, fake="", env=(), app="x:y",
                 **popen):
        self.tmp = tmp
        self.id = uuid.uuid4().hex
        self.errpath = tmp / ("stderr.%s" % self.id)
        self.outpath = tmp / ("stdout.%s" % self.id)
        self.words = tmp / ("words.%s" % self.id)
        self.behave(fake)
        argv = popen.pop("wrapper", []) + [ASGID]
        if "control" not in (conf or ""):   # parallel tests share no socket
            argv += ["-o", "control.socket="]
        if conf is not None:
            path = tmp / ("asgid.%s.conf" % self.id)
            path.write_text('app = "x:y";\n' + conf)
            argv += ["-c", str(path)]
        elif app:
            argv += [app]
            if not any(a in ("--port", "--uds", "--fd") for a in args):
                argv += ["--port", "0"]
        full = dict(os.environ, FAKE="@%s" % self.words,
                    ASGID_TEST_ID=self.id)
        for name in ("ASGID_WORKER", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"):
            full.pop(name, None)
        full.update(env)
        popen.setdefault("stdin", subprocess.DEVNULL)
        preexec = popen.pop("preexec_fn", None)

        def prepare():
            # no core, not even to a program that would take one: it
            # takes its time, and "(core dumped)" would be said
            resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
            # as a shell starts it, also when the tests run under nohup
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            if preexec:
                preexec()

        with open(self.errpath, "wb") as err, open(self.outpath, "wb") as out:
            popen.setdefault("stdout", out)
            popen.setdefault("stderr", err)
            self.proc = subprocess.Popen(argv + list(args), env=full,
                                         preexec_fn=prepare, **popen)
        self.pid = self.proc.pid

    def behave(self, words):
        """From now on new workers do this."""
        new = self.words.with_suffix(".new")
        new.write_text(words)
        new.chmod(0o644)
        new.rename(self.words)

    @property
    def log(self):
        return self.errpath.read_text(errors="replace")

    def wait_log(self, pattern, count=1, deadline=DEADLINE):
        rx = re.compile(pattern, re.M)
        poll(lambda: len(rx.findall(self.log)) >= count,
             lambda: "%d x %r in:\n%s" % (count, pattern, self.log), deadline)
        return rx.search(self.log)

    def serving(self, workers=1):
        self.wait_log(r"asgid running on .*CTRL\+C")
        self.wait_log(r"fake: go$", workers)
        return self

    @property
    def urls(self):
        return re.findall(r"running on (.+?)(?: \(Press.*)?$", self.log, re.M)

    @property
    def port(self):
        return int(self.urls[0].rpartition(":")[2])

    def workers(self):
        return [p for p in all_pids()
                if (stat_of(p) or (0, 0))[1] == self.pid]

    def worker(self):
        return poll(self.workers, "a worker")[0]

    def ask(self, address=None):
        """Connect; the number of the worker that answers."""
        if address is None:
            address = ("127.0.0.1", self.port)
        family = socket.AF_UNIX if isinstance(address, str) else (
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(DEADLINE)
            s.connect(address)
            return int(s.makefile().readline())

    def signal(self, signo=signal.SIGTERM):
        self.proc.send_signal(signo)

    def wait(self, deadline=DEADLINE):
        try:
            return self.proc.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running:\n" + self.log) from None

    def stop(self):
        self.signal()
        status = self.wait()
        assert status == 0, self.log

    def descendants(self):
        mark = b"ASGID_TEST_ID=" + self.id.encode()
        found = []
        for pid in all_pids():
            with contextlib.suppress(OSError):
                environ = pathlib.Path("/proc/%d/environ" % pid).read_bytes()
                if mark in environ and stat_of(pid):
                    found.append(pid)
        return found

    def finish(self):
        """End whatever the test left, which had to be nothing, but for what a
        sanitizer does at the end of a worker whose master was killed."""
        try:
            if self.proc.poll() is not None:
                poll(lambda: not self.descendants(), lambda:
                     "left running: %r\n%s" % (self.descendants(), self.log))
        finally:
            for pid in self.descendants():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.proc.wait()
        assert not re.search("Sanitizer|runtime error:", self.log), self.log


@pytest.fixture
def tmp():
    """A folder that another user can reach: not one of pytest's, for another
    run of pytest takes their modes away when it begins."""
    with tempfile.TemporaryDirectory(prefix="asgid-") as folder:
        path = pathlib.Path(folder).resolve()
        path.chmod(0o755)
        yield path


@pytest.fixture
def port():
    """A number that nobody else gets while the test runs: it is bound here,
    on all addresses, so that bind(0) and connect() of others leave it out,
    but not listened at, so that asgid may have it."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("0.0.0.0", 0))
        yield s.getsockname()[1]


@pytest.fixture
def asgid(tmp):
    started = []

    def start(*args, **kw):
        started.append(Asgid(tmp, args, **kw))
        return started[-1]

    yield start
    for a in started:
        a.finish()
