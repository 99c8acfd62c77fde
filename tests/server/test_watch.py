# SPDX-License-Identifier: BSD-3-Clause
"""--reload: a developer edits a real application while it is used."""
import os
import uuid

import pytest

from harness import application, poll
from test_control import Control
from test_reload import LIMIT, under_load

CHANGED = "asgid detected changes in"
APP = application("TEXT", head="from text import TEXT\n")


class Site:
    def __init__(self, asgid, folder, *args, app=APP, **kw):
        self.folder = folder
        folder.mkdir()
        (folder / "main.py").write_text(app)
        self.write(0)
        self.d = asgid(None, "main:app", "--app-dir", str(folder), "--reload",
                       "--host", "127.0.0.1", "--port", "0",
                       "--no-access-log", *args, **kw)
        self.d.expect(CHANGED)

    def save(self, name, text):
        """As an editor does; the time is always the same."""
        (self.folder / "new").write_text(text)
        os.utime(self.folder / "new", (10 ** 9, 10 ** 9))
        os.rename(self.folder / "new", self.folder / name)

    def write(self, text):
        """The module of this text has one size."""
        self.save("text.py", "TEXT = b'%05d'\n" % text)

    def answers(self, text):
        poll(lambda: self.d.get().text == "%05d" % text,
             lambda: "%d:\n%s" % (text, self.d.stderr[-3000:]), LIMIT)

    def settle(self):
        poll(lambda: len(self.d.workers()) == 1, "old workers", LIMIT)
        self.d.baseline = {}


@pytest.fixture
def site(asgid, tmp_path):
    # the harness forbids caches; here they are what has to be left alone
    return Site(asgid, tmp_path / "site", env={"PYTHONDONTWRITEBYTECODE": ""})


def test_edits_under_load(site):
    """New code answers, no request is lost; one second and one size do not
    make two files the same."""
    site.answers(0)
    with under_load((site.d.host, site.d.port)):
        for text in range(1, 6):
            site.write(text)
            site.answers(text)
    site.settle()


def test_mistake_and_correction(site):
    site.answers(0)
    site.save("main.py", APP + "(\n")
    site.d.expect("Error loading.*never closed", "failed to start",
                  "Reload failed")
    site.d.wait_log("Reload failed, the old workers serve on", LIMIT)
    site.answers(0)
    site.save("main.py", application('b"right"'))
    poll(lambda: site.d.get().text == "right", "new code", LIMIT)
    site.settle()


def test_mistake_from_the_beginning(asgid, tmp_path):
    """The daemon waits until there is something to serve; so do clients."""
    (tmp_path / "text.py").write_text("TEXT = b'late'\n")
    (tmp_path / "main.py").write_text("import nothing_of_that_name\n")
    d = asgid(None, "main:app", "--app-dir", str(tmp_path), "--reload",
              "--host", "127.0.0.1", "--port", "0",
              "-o", "control.socket=s", serve=False)
    d.expect("Error loading|nothing_of_that_name", "Looked for by Python",
             "failed to start", CHANGED)
    d.wait_log("Waiting for changes", LIMIT)
    with Control(tmp_path / "s") as c:
        assert c.ask("wait ready 100ms")[0] != 200
        c.send("wait ready\n")
        (tmp_path / "new").write_text(APP)
        os.rename(tmp_path / "new", tmp_path / "main.py")
        d.wait_serving()
        assert c.answer()[0] == 200
    assert d.get().text == "late"


# a debugger's port, say
OWN = application("TEXT", head='''import socket
from text import TEXT
own = socket.socket(socket.AF_UNIX)
own.bind("\\0asgid-%s")
''')


def test_a_port_of_its_own(asgid, tmp_path):
    """Only one process can have it: the new one comes when the old one has
    gone, and no client sees more of that than that it waits."""
    site = Site(asgid, tmp_path / "site", "-o", "control.socket=s",
                app=OWN.replace("%s", uuid.uuid4().hex, 1))
    site.d.expect("Error loading ASGI app", "failed to start",
                  "once more alone: .*Address already in use")
    site.answers(0)
    with under_load((site.d.host, site.d.port)):
        for text in 1, 2:
            site.write(text)
            site.answers(text)
        # by hand, too
        with Control(tmp_path / "s") as c:
            code, text = c.ask("reload")
            assert code == 200 and "generation 7 serve" in text
    assert "Reload failed" not in site.d.stderr
    site.settle()
