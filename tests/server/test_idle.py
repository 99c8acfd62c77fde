# SPDX-License-Identifier: BSD-3-Clause
"""An idle worker makes no system call; a request makes two that matter."""
import os
import re
import shutil
import subprocess
import time

import pytest

from harness import poll
from procfs import stat_of
from test_control import Control

pytestmark = pytest.mark.skipif(not shutil.which("strace"),
                                reason="no strace")


def settle(pid):
    """It has gone to sleep, and sleeps on: what was begun is over. One that
    only waits for a processor does not sleep."""
    seen = []

    def sleeps():
        with open("/proc/%d/status" % pid) as f:
            status = f.read()
        seen.append(re.search(r"\nvoluntary_ctxt_switches:\t(\d+)",
                              status)[1])
        if "\nState:\tS" not in status:
            seen.clear()
        return len(seen) > 20 and len(set(seen[-20:])) == 1
    poll(sleeps, "no rest: %r" % seen, pause=0.01)


class Trace:
    """strace of one process, once that rests."""

    def __init__(self, pid, path, *args):
        settle(pid)
        self.path = path
        self.proc = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", str(path), *args, "-p", str(pid)],
            stderr=subprocess.PIPE)

        def attached():
            if self.proc.poll() is not None:
                pytest.skip("strace: " + self.proc.stderr.read().decode())
            with open("/proc/%d/status" % pid) as f:
                return not re.search(r"TracerPid:\t0\n", f.read())
        poll(attached, "strace does not attach")

    def stop(self):
        self.proc.terminate()
        self.proc.wait()
        self.proc.stderr.close()
        return [x for x in self.path.read_text().splitlines()
                if re.search(r"^\d+\s+\w+\(", x)]


def test_idle_worker(asgid, tmp_path):
    d = asgid("hello")
    silent = d.connect()
    used = d.connect()
    for _ in range(3):
        assert used.request("GET", "/").status == 200
    used.close()
    silent.close()
    d.check_descriptors()
    pid = d.worker
    t = Trace(pid, tmp_path / "trace")
    first = t.path.read_text().count("\n")
    time.sleep(2)
    calls = t.stop()
    # the wait itself shows when strace attaches
    waits = [c for c in calls if "epoll_wait" in c or "epoll_pwait" in c]
    assert len(waits) <= 1, calls
    assert [c for c in calls if c not in waits] == [], calls
    assert first <= 1
    assert stat_of(pid)


def test_idle_master(asgid, tmp_path):
    """Nothing that may be asked of it makes it look around by itself."""
    control = tmp_path / "control.sock"
    d = asgid("hello", "--workers", "2", "--reload", "-o",
              "control.socket=%s" % control, "-o",
              "metrics.listen=127.0.0.1:0")
    with Control(control) as c:
        for line in ("wait ready", "stats", "scale 3", "reload",
                     "wait drained"):
            assert c.ask(line)[0] == 200
    d.baseline = {}
    t = Trace(d.pid, tmp_path / "trace")
    time.sleep(1)
    calls = t.stop()
    assert len(calls) <= 1, calls


def test_idle_watch(asgid, tmp_path):
    """Nor does a master that watches the application's files."""
    folder = tmp_path / "watched"
    folder.mkdir()
    d = asgid("hello", "--reload", "--reload-dir", str(folder))
    d.expect("detected changes")
    (folder / "new").mkdir()
    (tmp_path / "x.py").write_text("1")
    os.rename(tmp_path / "x.py", folder / "new" / "x.py")   # one change
    d.wait_log("Reloaded")
    poll(lambda: len(d.workers()) == 1, "old worker gone")
    d.baseline = {}
    t = Trace(d.pid, tmp_path / "trace")
    time.sleep(1)
    calls = t.stop()
    assert len(calls) <= 1, calls


def test_system_calls_of_a_request(asgid, tmp_path):
    """One recv and one sendmsg per keep-alive request that does not wait."""
    d = asgid("hello", "--no-access-log")
    c = d.connect()
    for _ in range(5):
        c.request("GET", "/")
    t = Trace(d.worker, tmp_path / "trace")
    for _ in range(100):
        assert c.request("GET", "/").body == b"Hello, world!"
    calls = t.stop()
    names = [re.match(r"\d+\s+(\w+)\(", x)[1] for x in calls]
    count = {n: names.count(n) for n in set(names)}
    recvs = sum(count.get(n, 0) for n in ("recvfrom", "recvmsg", "read"))
    sends = sum(count.get(n, 0) for n in ("sendto", "sendmsg", "write",
                                          "writev"))
    assert 100 <= recvs <= 102, count
    assert 100 <= sends <= 102, count
    waits = sum(count.get(n, 0) for n in ("epoll_wait", "epoll_pwait",
                                          "epoll_pwait2"))
    assert waits <= 220, count
    assert len(names) - recvs - sends - waits <= 10, count
