# SPDX-License-Identifier: BSD-3-Clause
"""--reload: links to folders, and names that lead elsewhere after a while."""
import os
import re
import shutil
import signal
import subprocess

import pytest

from conftest import BUILD, DEADLINE, poll
from watched import DONE, site  # noqa: F401

ASGICTL = str(BUILD / "src" / "asgictl" / "asgictl")


# ---- links to folders

@pytest.fixture
def lib(tmp):
    """A package that lies elsewhere."""
    (tmp / "lib/in").mkdir(parents=True)
    (tmp / "lib/y.py").write_text("1")
    (tmp / "lib/in/z.py").write_text("1")
    return tmp / "lib"


def test_linked_folder(site, lib, tmp):
    (tmp / "site").mkdir()
    os.symlink("../lib", tmp / "site/lib")
    s = site()
    (lib / "y.py").write_text("2")
    s.expect("lib/y.py")
    (lib / "in/z.py").write_text("2")
    s.expect("lib/in/z.py")
    with s.asleep():
        (lib / "new").mkdir()
        (lib / "new/w.py").write_text("2")
    s.expect("lib/new/w.py")
    s.a.stop()


def test_link_comes_turns_and_goes(site, lib, tmp):
    shutil.copytree(lib, tmp / "other")
    s = site()
    (lib / "y.py").write_text("2")      # not yet
    os.symlink(lib, s.folder / "link")
    s.expect("link/y.py", 1)
    # as a deployment does it
    os.symlink(tmp / "other", tmp / "next")
    with s.asleep():
        os.rename(tmp / "next", s.folder / "link")
    s.expect("link", 2)
    (lib / "y.py").write_text("3")      # not any more
    (tmp / "other/in/z.py").write_text("3")
    s.expect("link/in/z.py")
    (s.folder / "link").unlink()
    s.expect("link")
    (tmp / "other/in/z.py").write_text("4")
    s.nothing_else()
    s.a.stop()


def test_links_without_end(site, lib, tmp):
    """Each folder counts once, whatever leads to it."""
    one, two = tmp / "site/one", tmp / "site/two"
    one.mkdir(parents=True)
    two.mkdir()
    for path, target in ((one / "up", ".."), (one / "self", "."),
                         (one / "there", "../two"), (two / "back", "../one"),
                         (one / "lib", lib), (two / "lib", lib),
                         (lib / "site", tmp / "site"), (lib / "in/up", ".."),
                         (tmp / "site/0", "one")):
        os.symlink(target, path)
    s = site()
    for name in ("one/x.py", "two/x.py"):
        s.write(name)
        s.expect(name)
    (lib / "y.py").write_text("2")
    poll(lambda: s.a.log.count("Reloaded") == 3, "the change")
    assert re.search("changes in '(one|two)/lib/y.py'. ", s.a.log)
    s.generation, s.seen = s.generation + 1, s.seen + 1
    s.nothing_else()
    s.a.stop()


def test_folder_keeps_its_own_name(site, tmp):
    (tmp / "site/z").mkdir(parents=True)
    os.symlink("z", tmp / "site/a")
    s = site()
    s.write("z/x.py")
    s.expect("z/x.py")
    (s.folder / "a").unlink()
    s.write("z/x.py", "2")
    s.expect("z/x.py")
    # and the other way round
    out = s.folder.parent / "out"
    with s.asleep():
        out.mkdir()
        os.symlink(out, s.folder / "b")
        (out / "y.py").write_text("1")
    s.expect("b/y.py")
    with s.asleep():
        out.rename(s.folder / "c")
    s.generation, s.seen = s.generation + 1, s.seen + 1
    s.a.wait_log(DONE % (1, s.generation))
    s.write("c/y.py", "2")
    s.expect("c/y.py")
    s.a.stop()


def test_lost_target(site, lib, tmp):
    (tmp / "site").mkdir()
    os.symlink(lib, tmp / "site/lib")
    s = site()
    lib.rename(tmp / "away")
    s.expect("lib")
    (tmp / "away/y.py").write_text("2")
    (tmp / "away").rename(lib)
    s.generation, s.seen = s.generation + 1, s.seen + 1
    s.a.wait_log(DONE % (1, s.generation))
    (lib / "y.py").write_text("3")
    s.expect("lib/y.py")
    s.a.stop()


def test_links_left_out(site, lib, tmp):
    (tmp / "site").mkdir()
    for name in ("lib", ".lib", "node_modules"):
        os.symlink(lib, tmp / "site" / name)
    s = site("--reload-exclude", "lib")
    (lib / "y.py").write_text("2")
    s.nothing_else()
    s.a.stop()


# ---- names that lead elsewhere

@pytest.mark.parametrize("how", ["directory", "option"])
def test_switched_link(asgid, tmp, how):
    """A reload takes, and then watches, what the name means now."""
    for name in "one", "two":
        (tmp / name).mkdir()
        (tmp / name / "x.py").write_text(name)
    os.symlink("one", tmp / "current")
    (tmp / "one" / "asgid.conf").write_text("")
    kw = {"cwd": tmp}
    args = ["--app-dir", "current"]
    if how == "directory":
        kw = {"cwd": tmp / "current", "env": {"PWD": str(tmp / "current")}}
        args = []
    a = asgid("--reload", "--reload-delay", "0.1", *args, **kw).serving()

    def folder():
        return os.readlink("/proc/%d/cwd" % a.worker())

    if how == "directory":
        assert folder() == str(tmp / "one")
    os.symlink("two", tmp / "next")
    os.rename(tmp / "next", tmp / "current")
    # until then nothing has become different
    os.kill(a.worker(), signal.SIGKILL)
    a.wait_log("fake: go", 2)
    if how == "directory":
        assert folder() == str(tmp / "one")
    a.signal(signal.SIGHUP)
    a.wait_log(DONE % (1, 2))
    a.wait_log(r"directories: \['%s'\]$" % re.escape(str(tmp / "two")))
    poll(lambda: len(a.workers()) == 1, "old workers")
    if how == "directory":
        assert folder() == str(tmp / "two")
    (tmp / "one/x.py").write_text("2")
    (tmp / "two/x.py").write_text("2")
    a.wait_log(DONE % (1, 3))
    assert len(re.findall("detected changes in", a.log)) == 1
    assert "two/x.py" in a.log or "'x.py'" in a.log
    a.stop()


@pytest.fixture
def releases(asgid, tmp):
    """asgid in "current", which leads to the first of two releases; and how
    to let it lead to the second."""
    for name in "one", "two":
        (tmp / name / "gen").mkdir(parents=True)
        (tmp / name / "x.py").write_text(name)
    os.symlink("one", tmp / "current")

    def start():
        return asgid("--reload", "--reload-delay", "0.1", "--reload-exclude",
                     "gen", cwd=tmp / "current",
                     env={"PWD": str(tmp / "current")}).serving()

    def switch(a, generation):
        os.symlink("two", tmp / "next")
        os.rename(tmp / "next", tmp / "current")
        a.signal(signal.SIGHUP)
        a.wait_log(DONE % (1, generation))
        poll(lambda: len(a.workers()) == 1, "old workers")
        return len(re.findall("detected changes in", a.log))

    start.switch = switch
    return start


def test_left_out_in_the_next_release(releases, tmp):
    a = releases()
    seen = releases.switch(a, 2)
    (tmp / "two/gen/y.py").write_text("2")
    (tmp / "two/x.py").write_text("2")
    a.wait_log(DONE % (1, 3))
    assert re.findall("detected changes in .*$", a.log, re.M)[seen:] == [
        "detected changes in 'x.py'. Reloading..."]
    a.stop()


def test_lost_link_of_the_former_release(releases, lib, tmp):
    """It is none of ours when it is back."""
    os.symlink(lib, tmp / "one/lib")
    a = releases()
    lib.rename(tmp / "away")
    a.wait_log(DONE % (1, 2))
    seen = releases.switch(a, 3)
    (tmp / "away").rename(lib)
    # whoever looks for what is lost does so once a second: it would have
    # found both
    os.rename(tmp / "two", tmp / "gone")
    a.wait_log("is gone: it is looked for once a second")
    os.rename(tmp / "gone", tmp / "two")
    a.wait_log(DONE % (1, 4))
    (tmp / "lib/y.py").write_text("2")
    (tmp / "two/x.py").write_text("2")
    a.wait_log(DONE % (1, 5))
    assert not [x for x in re.findall("detected changes in .*$", a.log,
                                      re.M)[seen:] if "lib" in x], a.log
    a.stop()


def test_check_during_a_reload(asgid, tmp):
    """The master goes on in the directory of what serves."""
    for name in "one", "two":
        (tmp / name).mkdir()
    (tmp / "current").symlink_to("one")
    a = asgid("--port", "0", "-o", "control.socket=%s/s" % tmp,
              cwd=tmp / "current", env={"PWD": str(tmp / "current"),
                                        "VIRTUAL_ENV": ""}).serving()

    def cwd():
        return os.readlink("/proc/%d/cwd" % a.pid)

    assert cwd() == str(tmp / "one")
    (tmp / "next").symlink_to("two")
    (tmp / "next").rename(tmp / "current")
    a.behave("report until=%s" % (tmp / "release"))
    a.signal(signal.SIGHUP)
    a.wait_log("fake: born")
    subprocess.run([ASGICTL, "-s", tmp / "s", "check"], check=True,
                   timeout=DEADLINE)
    (tmp / "release").touch()
    a.wait_log(DONE % (1, 2))
    poll(lambda: cwd() == str(tmp / "two"), cwd)
    a.stop()
