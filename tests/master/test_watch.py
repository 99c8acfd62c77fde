# SPDX-License-Identifier: BSD-3-Clause
"""--reload: a change of the application's files begins a reload, and only
that does.

What must not count is shown without waiting for nothing to happen: it is
done first, then a file that does count is changed, and the log has to name
that one and no others.
"""
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from conftest import DEADLINE, poll
from watched import DONE, site  # noqa: F401


# ---- what counts

def test_change(site):
    s = site()
    old, port = s.a.worker(), s.a.port
    s.a.wait_log(r"INFO: +Will watch for changes in these directories: "
                 r"\['%s'\]$" % re.escape(str(s.folder)))
    for text in "23":
        s.write("x.py", text)
        s.expect("x.py")
    new = s.a.worker()
    assert new != old and s.a.ask() == new and s.a.port == port
    s.a.stop()


def vim(folder):
    """With backup: the old file gets another name, a new one is written."""
    os.rename(folder / "x.py", folder / "x.py~")
    (folder / "4913").touch()
    (folder / "4913").unlink()
    (folder / ".x.py.swp").write_text("swap")
    (folder / "x.py").write_text("vim")
    (folder / "x.py~").unlink()


def emacs(folder):
    """A temporary file is renamed, a link is the lock."""
    os.symlink("me@here.1:2", folder / ".#x.py")
    (folder / "x.py.tmp").write_text("emacs")
    os.rename(folder / "x.py.tmp", folder / "x.py")
    (folder / ".#x.py").unlink()


def code(folder):
    """In place, in two steps."""
    with open(folder / "x.py", "w") as f:
        f.write("a")
        f.flush()
        f.write("b")


@pytest.mark.parametrize("save", [vim, emacs, code])
def test_editors(site, save):
    s = site()
    with s.asleep():
        save(s.folder)
    s.expect("x.py")
    s.a.stop()


def test_links(site):
    """Nobody closes them after writing."""
    s = site()
    os.link(s.folder / "x.py", s.folder / "hard.py")
    s.expect("hard.py")
    os.symlink("elsewhere", s.folder / "soft.py")
    s.expect("soft.py")
    s.a.stop()


def test_many_at_once(site):
    s = site()
    with s.asleep():
        for i in range(300):
            s.write("%d.py" % i)
    s.expect("0.py", 299)
    s.nothing_else()
    s.a.stop()


def test_new_folders(site):
    s = site()
    s.write("a/b/c/d.py")
    s.expect("a/b/c/d.py")
    s.write("a/b/e.py")
    s.expect("a/b/e.py")
    # made elsewhere, moved in
    other = s.folder.parent / "other"
    (other / "in").mkdir(parents=True)
    (other / "in/f.py").write_text("1")
    (other / "in/f.txt").write_text("1")
    other.rename(s.folder / "moved")
    s.expect("moved/in/f.py")
    s.write("moved/in/f.py", "2")
    s.expect("moved/in/f.py")
    s.a.stop()


@pytest.mark.skipif(os.getuid() != 0, reason="mounts")
def test_folder_mounted_below_itself(site, tmp):
    """It keeps its first name, and is read once."""
    below = tmp / "site" / "below"
    below.mkdir(parents=True)
    if subprocess.run(["mount", "--bind", tmp / "site", below]).returncode:
        pytest.skip("cannot mount")
    try:
        s = site()
        for text in "23":
            s.write("x.py", text)
            s.expect("x.py")
        s.a.stop()
    finally:
        subprocess.run(["umount", below], check=True)


def test_moved_folders(site):
    s = site()
    s.write("a/b/c.py")
    s.write("t/t.txt")
    s.expect("a/b/c.py")
    # under another name: gone from there, come to here
    with s.asleep():
        (s.folder / "a").rename(s.folder / "z")
    s.expect("a", 1)
    s.write("z/b/c.py", "2")
    s.expect("z/b/c.py")
    # out of the tree: from then on it is nobody's
    out = s.folder.parent / "out"
    (s.folder / "z").rename(out)
    s.expect("z")
    (out / "b/c.py").write_text("3")
    (out / "new").mkdir()
    (out / "new/c.py").write_text("3")
    # nothing of interest was in it
    (s.folder / "t").rename(s.folder.parent / "t")
    s.nothing_else()
    s.a.stop()


def test_deleted(site):
    s = site()
    s.write("a/b.py")
    s.expect("a/b.py")
    (s.folder / "x.py").unlink()
    s.expect("x.py")
    with s.asleep():
        shutil.rmtree(s.folder / "a")
    s.expect("a/b.py")
    (s.folder / "empty").mkdir()
    (s.folder / "empty").rmdir()
    s.nothing_else()
    s.write("a/b.py")
    s.expect("a/b.py")
    s.a.stop()


# ---- what does not

def test_reading_and_attributes(site):
    s = site()
    x = s.folder / "x.py"
    x.read_text()
    x.chmod(0o600)
    os.utime(x, (1, 1))
    os.listdir(s.folder)
    s.nothing_else()
    s.a.stop()


def test_left_out(site):
    s = site()
    for name in ("x.txt", "py", ".x.py", "~x.py", "x.pyc", "x.py.swp",
                 ".git/x.py", ".venv/lib/x.py", "__pycache__/x.py",
                 "a/node_modules/b/x.py"):
        s.write(name)
    # the environment's file comes before its packages
    s.write("env/pyvenv.cfg")
    s.write("env/lib/x.py")
    os.symlink(s.folder.parent, s.folder / "up")
    (s.folder.parent / "above.py").write_text("1")
    s.nothing_else()
    (s.folder / "env").rename(s.folder / "env2")
    s.write("env2/lib/x.py")
    s.nothing_else()
    s.a.stop()


def test_patterns(site, tmp):
    logs = tmp / "site/logs"
    logs.mkdir(parents=True)
    s = site("--reload-include", "*.html", "--reload-include", ".env",
             "--reload-include=conf/*.ini", "--reload-exclude", "gen",
             "--reload-exclude", "test_*.py", "--reload-exclude=later/",
             "--reload-exclude", str(logs))
    for name in ("gen/x.py", "gen/a/x.py", "test_x.py", "a/test_x.py",
                 "later/x.py", "logs/x.py", "x.ini", "conf/a/x.ini",
                 "b.env", ".html"):
        s.write(name)
    s.nothing_else()
    for name in ("x.html", ".env", "conf/x.ini", "a/conf/x.ini", "x.py"):
        s.write(name, "2")
        s.expect(name)
    s.a.stop()


def test_other_directories(site, tmp):
    for name in ("one/two", "three", "one/.hidden"):
        (tmp / name).mkdir(parents=True)
    os.symlink(tmp / "three", tmp / "link")
    s = site("--reload-dir", str(tmp / "one/two"), "--reload-dir",
             str(tmp / "link"), "--reload-dir", str(tmp / "one"),
             "--reload-dir", "../one/.hidden")
    s.a.wait_log(r"directories: \['%s', '%s'\]$" % (
        re.escape(str(tmp / "one")), re.escape(str(tmp / "three"))))
    s.write("x.py", "2")
    for name in ("three/a.py", "one/two/b.py", "one/.hidden/c.py"):
        (tmp / name).write_text("1")
        s.expect(str(tmp / name))
    s.a.stop()


def test_application_directory(site, tmp):
    (tmp / "app").mkdir()
    s = site("--app-dir", "../app")
    s.write("x.py", "2")
    (tmp / "app/main.py").write_text("1")
    s.expect(str(tmp / "app/main.py"))
    s.a.stop()


def test_off(asgid, tmp):
    a = asgid("--reload-dir", str(tmp)).serving()
    fds = [os.readlink("/proc/%d/fd/%s" % (a.pid, fd))
           for fd in os.listdir("/proc/%d/fd" % a.pid)]
    assert not [x for x in fds if "inotify" in x]
    assert "Will watch" not in a.log
    a.stop()


# ---- what comes of it

def test_error_and_its_correction(site):
    s = site("--workers", "2")
    old = s.a.workers()
    s.a.behave("fail=3")
    s.write("x.py", "(")
    s.a.wait_log("Reload failed, the old workers serve on: .*told to fail")
    poll(lambda: s.a.workers() == old, "the failed ones are gone")
    s.a.behave("")
    s.generation, s.seen = 2, 1
    s.write("x.py", "()")
    s.expect("x.py", workers=2)
    assert not set(s.a.workers()) & set(old)
    s.a.stop()


def test_change_during_a_reload(site):
    s = site()
    s.hold()
    s.write("x.py", "2")
    s.a.wait_log("fake: born")
    for count in 1, 2:
        s.write("x.py", "3")
        s.a.wait_log(r"changes in 'x\.py'\. Another reload will follow",
                     count)
    assert s.a.log.count("Reloaded") == 0
    s.release()
    s.a.wait_log(DONE % (1, 2))
    s.generation, s.seen = 2, 3
    s.a.wait_log(DONE % (1, 3))
    poll(lambda: len(s.a.workers()) == 1, "one worker")
    s.generation = 3
    s.nothing_else()
    s.a.stop()


def test_change_while_starting(site, tmp):
    s = site(start="report until=%s" % (tmp / "release"))
    s.a.wait_log("fake: born")
    s.write("x.py", "2")
    s.a.wait_log("Another reload will follow")
    assert "running on" not in s.a.log
    s.release()
    s.a.wait_log(DONE % (1, 2))
    s.a.stop()


@pytest.mark.parametrize("workers", [1, 2])
def test_first_start_fails(site, workers):
    """The listeners stay open until the code is right."""
    s = site("--workers", str(workers), start="fail=3")
    s.a.wait_log(r"CRITICAL: +Worker process \[\d+\] failed to start$")
    s.a.wait_log("Waiting for changes")
    poll(lambda: s.a.workers() == [], "no worker")
    assert "stopping asgid" not in s.a.log
    s.write("x.py", "2")
    s.a.wait_log("Reload failed, waiting for changes: .*told to fail")
    poll(lambda: s.a.workers() == [], "no worker")
    s.a.behave("")
    s.write("x.py", "3")
    s.a.wait_log(DONE % (workers, 3))
    s.a.serving(workers)
    assert s.a.ask() in s.a.workers()
    s.a.stop()


@pytest.fixture
def locked(site, tmp):
    """Each worker needs a lock that only one process has."""
    (tmp / "lock").touch()
    (tmp / "lock").chmod(0o666)
    return site(start="lock=%s/lock" % tmp)


def alone(s, count):
    s.a.wait_log("WARNING: .*are tried once more alone: worker process "
                 r"\[\d+\]: application startup failed: OSError: locked$",
                 count)


def test_what_only_one_can_have(locked):
    """The new one comes when the old one has gone; clients wait."""
    s = locked
    s.a.serving()
    for count in 1, 2:
        old, port = s.a.worker(), s.a.port
        s.write("x.py", "2")
        alone(s, count)
        s.a.wait_log("Reloaded: 1 worker", count)
        assert s.a.ask() == s.a.worker() != old and s.a.port == port
    assert "Reload failed" not in s.a.log
    s.a.stop()


def test_no_client_is_refused_meanwhile(locked, tmp):
    s = locked
    s.a.serving()
    s.a.behave("lock=%s/lock until=%s/ready" % (tmp, tmp))
    s.write("x.py", "2")
    alone(s, 1)
    poll(lambda: s.a.log.count("Started worker process") == 3, "the second")
    with socket.create_connection(("127.0.0.1", s.a.port)) as c:
        c.settimeout(DEADLINE)
        (tmp / "ready").touch()
        assert int(c.makefile().readline()) == s.a.worker()
    s.a.stop()


def test_alone_in_vain(locked, tmp):
    """As after a first start that fails: it waits for the next change, and
    so do clients."""
    s = locked
    s.a.serving()
    (tmp / "lock").rename(tmp / "gone")
    s.write("x.py", "2")
    alone(s, 1)
    s.a.wait_log("ERROR: +Reload failed, waiting for changes: .*locked")
    poll(lambda: s.a.workers() == [], "no worker")
    assert s.a.log.count("Reload failed") == 1
    with socket.create_connection(("127.0.0.1", s.a.port)) as c:
        c.settimeout(DEADLINE)
        (tmp / "gone").rename(tmp / "lock")
        s.write("x.py", "3")
        assert int(c.makefile().readline()) == s.a.worker()
    assert s.a.log.count("once more alone") == 1
    s.a.stop()


@pytest.mark.parametrize("words, why", [
    ("fail=3", "told to fail"), ("crash", "killed by SIGABRT")])
def test_mistakes_leave_the_old_ones(locked, words, why):
    s = locked
    s.a.serving()
    old = s.a.worker()
    s.a.behave(words)
    s.write("x.py", "(")
    s.a.wait_log("Reload failed, the old workers serve on: .*" + why)
    assert "alone" not in s.a.log
    assert s.a.ask() == old
    s.a.stop()


def test_while_the_old_ones_leave(site, tmp):
    """Another change needs no try of its own, others are refused, and a stop
    stops."""
    (tmp / "lock").touch()
    s = site(start="nodrain lock=%s/lock" % tmp)
    s.a.serving()
    s.write("x.py", "2")
    alone(s, 1)
    s.a.wait_log("fake: drain")
    s.write("x.py", "3")
    s.a.wait_log(r"changes in 'x\.py'\. Another reload will follow")
    s.a.signal(signal.SIGHUP)
    s.a.wait_log(r"Reload by SIGHUP refused: a reload is running \(changed")
    s.a.signal(signal.SIGTTIN)
    s.a.wait_log(r"1 worker\(s\): a reload is running")
    s.a.signal()
    s.a.wait_log("Received SIGTERM, shutting down")
    s.a.signal()
    assert s.a.wait() == 0
    assert s.a.log.count("Started worker process") == 2


def test_stop_while_waiting(site):
    s = site(start="fail=3")
    s.a.wait_log("Waiting for changes")
    s.a.stop()


def test_one_more_while_waiting(site):
    s = site(start="fail=3")
    s.a.wait_log("Waiting for changes")
    poll(lambda: s.a.workers() == [], "no worker")
    s.a.behave("")
    s.a.signal(signal.SIGTTIN)
    s.a.serving()
    s.a.stop()


def test_hangup_works_too(site):
    s = site(start="fail=3")
    s.a.wait_log("Waiting for changes")
    poll(lambda: s.a.workers() == [], "no worker")
    s.a.behave("")
    s.a.signal(signal.SIGHUP)
    s.a.serving()
    s.generation = 2
    s.nothing_else()
    s.a.stop()


# ---- limits

def test_lost_directory(site, tmp):
    (tmp / "one").mkdir()
    s = site("--reload-dir", ".", "--reload-dir", "../one")
    (tmp / "one").rmdir()
    s.a.wait_log("WARNING: +%s is gone: " % re.escape(str(tmp / "one")))
    (tmp / "next").mkdir()
    (tmp / "next/y.py").write_text("1")
    os.rename(tmp / "next", tmp / "one")
    s.expect(str(tmp / "one/y.py"))
    (tmp / "one/y.py").write_text("2")
    s.expect(str(tmp / "one/y.py"))
    s.a.stop()


def test_another_takes_the_directory_s_place(site, tmp):
    s = site()
    shutil.copytree(s.folder, tmp / "next")
    os.rename(s.folder, tmp / "former")
    os.rename(tmp / "next", s.folder)
    s.expect("x.py")
    s.write("x.py", "2")
    s.expect("x.py")
    s.a.stop()


def test_lost_events(site):
    """More than the kernel's queue holds, while nobody reads it."""
    s = site()
    with open("/proc/sys/fs/inotify/max_queued_events") as f:
        events = int(f.read())
    if events > 50000:
        pytest.skip("the queue is too long to fill")
    with s.asleep():
        for i in range(events // 2 + 1):
            for name in ("one.txt", "two.txt"):
                os.close(os.open(s.folder / name, os.O_WRONLY | os.O_CREAT))
        (s.folder / "unseen").mkdir()
    s.expect(str(s.folder))
    s.write("unseen/y.py")
    s.expect("unseen/y.py")
    s.a.stop()


LIMITED = ["unshare", "-Ur", "sh", "-c",
           "echo %d > /proc/sys/user/max_inotify_watches && exec \"$@\"", "sh"]


def limited(n):
    argv = [x % n if "%d" in x else x for x in LIMITED]
    if subprocess.run([*argv, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no namespace of one's own")
    return argv


def test_too_many_folders(asgid, tmp):
    for i in range(5):
        (tmp / "site" / str(i)).mkdir(parents=True)
    a = asgid("--reload", cwd=tmp / "site", wrapper=limited(3))
    assert a.wait() == 1
    a.wait_log(r"ERROR: +cannot watch %s/\d: this user has no more inotify "
               r"watches, raise fs\.inotify\.max_user_watches$" %
               re.escape(str(tmp / "site")))
    assert a.log.count("ERROR") == 1


def test_too_many_new_folders(site):
    s = site(wrapper=limited(3))
    for i in range(5):
        (s.folder / str(i)).mkdir()
    s.a.wait_log("cannot watch .*raise fs.inotify.max_user_watches")
    s.nothing_else()
    assert s.a.log.count("ERROR") == 1
    s.a.stop()
