# SPDX-License-Identifier: BSD-3-Clause
"""Several asgid on one machine: each has its control socket, and asgictl -c
reaches the one that reads the file, or nobody."""
import os
import shutil
import socket
import subprocess
import threading

import pytest

from conftest import BUILD, DEADLINE

ASGICTL = str(BUILD / "src" / "asgictl" / "asgictl")
LISTEN = 'listen = ({ address = "127.0.0.1:0"; });\n'
AUTO = LISTEN + '# control.socket = "auto"\n'
NOT_RUNNING = 3


@pytest.fixture(autouse=True)
def runtime_directory(tmp, monkeypatch):
    """Root does not ask for it, and has names here that nobody else has."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp))


def conf_of(a):
    return a.tmp / ("asgid.%s.conf" % a.id)


def socket_of(a):
    folder = "/run" if os.geteuid() == 0 else str(a.tmp)
    return "%s/asgid/control-asgid.%s.sock" % (folder, a.id)


def asgictl(*words, **kw):
    return subprocess.run([ASGICTL, *map(str, words)], capture_output=True,
                          text=True, timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, **kw)


def ok(*words, **kw):
    r = asgictl(*words, **kw)
    assert (r.returncode, r.stderr) == (0, ""), r
    return r.stdout


def test_each_has_its_own(asgid):
    a, b = asgid(conf=AUTO).serving(), asgid(conf=AUTO).serving()
    assert os.path.exists(socket_of(a)) and os.path.exists(socket_of(b))
    for one in (a, b):
        assert "pid %d:" % one.pid in ok("-c", conf_of(one), "status")
    ok("-c", conf_of(b), "stop")
    assert b.wait() == 0
    assert a.ask() == a.worker()
    assert not os.path.exists(socket_of(b))
    assert asgictl("-c", conf_of(b), "stop").returncode == NOT_RUNNING
    a.stop()
    assert not os.path.exists(socket_of(a))


def refused(a, *words, says):
    for command in ("stop", "reload", "status", "ping"):
        r = asgictl(*words, command)
        assert (r.returncode, r.stdout) == (NOT_RUNNING, ""), r
        assert r.stderr == ("asgictl: %s: another asgid has this socket: it "
                            "reads %s\n" % (command, says))
    assert "stop" not in a.log and "Reloaded" not in a.log
    assert a.ask() == a.worker()


def test_another_file_with_the_same_socket(asgid, tmp):
    """It is not stopped for the other's sake."""
    control = 'control = { socket = "%s/s"; };\n' % tmp
    a = asgid(conf=LISTEN + control).serving()
    other = tmp / "other.conf"
    other.write_text('app = "x:y";\n' + control)
    refused(a, "-c", other, says=str(conf_of(a)))
    # a look without a file is for whoever is there
    assert ok("-s", tmp / "s", "ping") == "pong\n"
    # by whatever name, and also when an editor has written it anew
    (tmp / "link").symlink_to(conf_of(a))
    new = tmp / "new"
    shutil.copy(conf_of(a), new)
    new.rename(conf_of(a))
    assert ok("-c", tmp / "link", "ping") == "pong\n"
    assert ok("-c", conf_of(a).name, "ping", cwd=tmp) == "pong\n"
    ok("-c", "./link", "stop", cwd=tmp)
    assert a.wait() == 0
    assert "config=" not in a.log


def test_file_of_the_next_release(asgid, tmp):
    """By the same name: it is what a reload would read."""
    for name in "one", "two":
        (tmp / name).mkdir()
        (tmp / name / "asgid.conf").write_text(
            'app = "x:y"; control = { socket = "%s/s"; };\n%s' % (tmp, LISTEN))
    (tmp / "current").symlink_to("one")
    a = asgid("-c", "asgid.conf", "-o", "control.socket=%s/s" % tmp, app=None,
              cwd=tmp / "current", env={"PWD": str(tmp / "current")}).serving()
    (tmp / "next").symlink_to("two")
    (tmp / "next").rename(tmp / "current")
    for folder in "one", "current":
        assert ok("-c", "asgid.conf", "ping", cwd=tmp / folder) == "pong\n"
    ok("-c", "asgid.conf", "reload", cwd=tmp / "current")
    assert ok("-c", "asgid.conf", "ping", cwd=tmp / "current") == "pong\n"
    r = asgictl("-c", "asgid.conf", "ping", cwd=tmp / "one")
    assert r.returncode == NOT_RUNNING
    a.stop()


def test_one_without_a_file(asgid, tmp):
    a = asgid("-o", "control.socket=%s/s" % tmp).serving()
    conf = tmp / "x.conf"
    conf.write_text('app = "x:y"; control = { socket = "%s/s"; };\n' % tmp)
    refused(a, "-c", conf, says="no configuration file")
    a.stop()


def test_same_name_elsewhere(asgid, tmp):
    """The second one has no control socket, and says so; asgictl does not
    take the first one for it."""
    a = asgid(conf=AUTO).serving()
    (tmp / "b").mkdir()
    conf = tmp / "b" / conf_of(a).name
    conf.write_text('app = "x:y";\n' + LISTEN)
    b = asgid("-c", str(conf), "-o", "control.socket=auto",
              app=None).serving()
    assert "WARNING:  No control socket: %s: another process has it" % \
        socket_of(a) in b.log
    refused(a, "-c", conf, says=str(conf_of(a)))
    b.stop()
    assert ok("-c", conf_of(a), "ping") == "pong\n"
    a.stop()


def test_older_asgid(tmp):
    """It cannot know who is meant: nothing is done."""
    said = []

    def serve(s):
        c, _ = s.accept()
        with c:
            said.append(c.recv(1024))
            text = (b"ping: --config=1:2 is not for it, expected: ping\n")
            c.sendall(b"400 %d\n" % len(text) + text)

    conf = tmp / "x.conf"
    conf.write_text('app = "x:y"; control = { socket = "%s/s"; };\n' % tmp)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp / "s"))
        s.listen()
        t = threading.Thread(target=serve, args=(s,))
        t.start()
        r = asgictl("-c", conf, "ping")
        t.join()
    st = conf.stat()
    assert said == [b"ping --config=%d:%d\n" % (st.st_dev, st.st_ino)]
    assert r.returncode == 2
    assert "this asgid is older than asgictl" in r.stderr
