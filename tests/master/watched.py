# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of --reload share: a folder that asgid watches."""
import contextlib
import os
import re
import signal

import pytest

from conftest import poll, stat_of

SEEN = r"WARNING: +asgid detected changes in '%s'%s\. Reloading\.\.\.$"
DONE = r"INFO: +Reloaded: %d worker\(s\) of generation %d serve"


class Site:
    """asgid --reload in a folder of its own."""

    def __init__(self, asgid, folder, *args, start="", **kw):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "x.py").write_text("1")
        # as a shell has it
        kw.setdefault("env", {"PWD": str(folder)})
        self.a = asgid("--reload", "--reload-delay", "0.1", *args,
                       cwd=folder, fake=start, **kw)
        self.generation, self.seen = 1, 0
        if not start:
            self.a.serving(2 if "--workers" in args else 1)

    def hold(self):
        """Workers from now on are not ready before release()."""
        self.a.behave("report until=%s" % (self.a.tmp / "release"))

    def release(self):
        (self.a.tmp / "release").touch()

    @contextlib.contextmanager
    def asleep(self):
        """The master sees all that is done meanwhile at once, however long
        it takes on this machine."""
        os.kill(self.a.pid, signal.SIGSTOP)
        poll(lambda: stat_of(self.a.pid)[0] == "T", "stopped")
        try:
            yield
        finally:
            os.kill(self.a.pid, signal.SIGCONT)

    def write(self, name, text="1"):
        path = self.folder / name
        if path.parent.is_dir():
            path.write_text(text)
            return
        with self.asleep():
            path.parent.mkdir(parents=True)
            path.write_text(text)

    def expect(self, name, more=0, workers=1):
        """One reload more, for this file and so many others."""
        self.generation += 1
        self.seen += 1
        self.a.wait_log(DONE % (workers, self.generation))
        found = re.findall("detected changes in .*$", self.a.log, re.M)
        assert len(found) == self.seen, self.a.log
        others = " (and %d more)" % more if more else ""
        assert found[-1] == "detected changes in '%s'%s. Reloading..." % (
            name, others)
        poll(lambda: len(self.a.workers()) == workers, "old workers")

    def nothing_else(self):
        """Nothing before this counted."""
        self.write("last.py", str(self.generation))
        self.expect("last.py")


@pytest.fixture
def site(asgid, tmp):
    def start(*args, **kw):
        return Site(asgid, tmp / "site", *args, **kw)
    return start
