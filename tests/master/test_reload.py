# SPDX-License-Identifier: BSD-3-Clause
"""SIGHUP: another generation takes over, or nothing changes."""
import os
import re
import signal
import socket
import stat

import pytest

from conftest import DEADLINE, poll, stat_of
from test_listen import listen, refused

LISTEN = listen('address = "127.0.0.1:0";')
DONE = r"INFO: +Reloaded: %d worker\(s\) of generation %d serve"
FAILED = r"ERROR: +Reload failed, the old workers serve on: .*%s"


def rewrite(a, conf):
    path = a.tmp / ("asgid.%s.conf" % a.id)
    path.write_text('app = "x:y";\n' + conf)


def fds(a):
    return len(os.listdir("/proc/%d/fd" % a.pid))


def reload(a, workers, generation):
    a.signal(signal.SIGHUP)
    a.wait_log(DONE % (workers, generation))


def only(a, n):
    """n workers are left, the old ones are gone."""
    poll(lambda: len(a.workers()) == n, lambda: "%r\n%s" % (a.workers(), a.log))
    return a.workers()


def test_reload(asgid):
    a = asgid("--workers", "2").serving(2)
    old, before, port = a.workers(), fds(a), a.port
    for generation in range(2, 7):
        reload(a, 2, generation)
        new = only(a, 2)
        assert not set(new) & set(old) and a.ask() in new
        old = new
    poll(lambda: fds(a) == before, lambda: "%d, %d" % (fds(a), before))
    assert a.port == port and len(a.urls) == 1
    assert not re.search("^(ERROR|WARNING|CRITICAL)", a.log, re.M), a.log
    a.stop()


def test_old_ones_serve_until_all_are_ready(asgid):
    a = asgid("--workers", "2").serving(2)
    old, ready = a.workers(), a.tmp / "ready"
    a.behave("only=2 until=%s" % ready)
    a.signal(signal.SIGHUP)
    poll(lambda: len(a.workers()) == 4, "four workers")
    assert all(a.ask() in old for _ in range(50))
    assert a.log.count("fake: go") == 2 and "fake: drain" not in a.log
    ready.touch()
    a.wait_log(DONE % (2, 2))
    assert not set(only(a, 2)) & set(old)
    a.wait_log("fake: go", 4)
    a.stop()


@pytest.mark.parametrize("words, why", [
    ("fail=3", "told to fail"), ("exit=77", "exited with status 77"),
    ("crash", "killed by SIGABRT")])
def test_failing_generation(asgid, words, why):
    a = asgid("--workers", "2").serving(2)
    old, before = a.workers(), fds(a)
    a.behave(words)
    a.signal(signal.SIGHUP)
    a.wait_log(FAILED % why)
    assert only(a, 2) == old and a.ask() in old
    poll(lambda: fds(a) == before, "descriptors")
    assert a.log.count("Reload failed") == 1
    assert "fake: drain" not in a.log and "stopping asgid" not in a.log
    a.behave("")
    reload(a, 2, 3)
    assert not set(only(a, 2)) & set(old)
    a.stop()


def test_one_of_the_generation_fails(asgid):
    a = asgid("--workers", "2").serving(2)
    old = a.workers()
    a.behave("only=2 fail=3")
    a.signal(signal.SIGHUP)
    a.wait_log(FAILED % "told to fail")
    assert only(a, 2) == old and a.ask() in old
    assert a.log.count("fake: go") == 2
    a.stop()


def test_hanging_generation(asgid):
    a = asgid(conf=LISTEN).serving()
    old = a.workers()
    rewrite(a, LISTEN + 'timeouts = { startup = "300ms"; };')
    a.behave("hang nodrain")
    a.signal(signal.SIGHUP)
    a.wait_log(FAILED % r"not ready after 300ms \(timeouts.startup\)")
    assert only(a, 1) == old and a.ask() == old[0]
    a.stop()


def test_second_hangup_is_refused(asgid):
    a = asgid().serving()
    a.behave("hang")
    a.signal(signal.SIGHUP)
    poll(lambda: len(a.workers()) == 2, "two workers")
    for signo, what in ((signal.SIGHUP, "Reload by SIGHUP refused"),
                        (signal.SIGTTIN, r"2 worker\(s\)"),
                        (signal.SIGTTOU, r"0 worker\(s\)")):
        a.signal(signo)
        a.wait_log(what + r": a reload is running \(SIGHUP\)")
    assert len(a.workers()) == 2
    a.stop()


def test_hangup_while_starting(asgid, tmp):
    a = asgid(fake="until=%s/ready" % tmp)
    poll(a.workers, "a worker")
    a.signal(signal.SIGHUP)
    a.wait_log("Reload by SIGHUP refused: asgid is starting")
    (tmp / "ready").touch()
    a.serving().stop()


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT,
                                   signal.SIGQUIT])
def test_stop_during_a_reload(asgid, port, signo):
    a = asgid("--workers", "2", "--port", str(port)).serving(2)
    a.behave("hang")
    a.signal(signal.SIGHUP)
    poll(lambda: len(a.workers()) == 4, "four workers")
    a.signal(signo)
    assert a.wait() == 0
    assert refused(("127.0.0.1", port)) and not a.workers()
    assert "Reload failed" not in a.log


def test_old_worker_dies_during_a_reload(asgid, tmp):
    a = asgid().serving()
    old = a.worker()
    a.behave("until=%s/ready" % tmp)
    a.signal(signal.SIGHUP)
    poll(lambda: len(a.workers()) == 2, "two workers")
    os.kill(old, signal.SIGKILL)
    a.wait_log(r"Worker process \[%d\] died" % old)
    (tmp / "ready").touch()
    a.wait_log(DONE % (1, 2))
    pids = only(a, 1)
    assert a.ask() == pids[0] != old and stat_of(old) is None
    a.stop()


def test_broken_configuration(asgid):
    a = asgid(conf=LISTEN).serving()
    old = a.workers()
    rewrite(a, 'workerz = 1;\nlog = { level = "hi"; };\n' + LISTEN)
    a.signal(signal.SIGHUP)
    a.wait_log("Reload failed, nothing was changed")
    assert re.search(r"asgid\.\w+\.conf:2: workerz", a.log)
    assert re.search(r"asgid\.\w+\.conf:3: log.level", a.log)
    assert a.workers() == old and a.ask() == old[0]
    rewrite(a, LISTEN)
    reload(a, 1, 2)
    a.stop()


def test_workers_and_command_line(asgid):
    """What the command line said still wins over the file."""
    a = asgid("--workers", "2", conf=LISTEN + "workers = { count = 1; };")
    a.serving(2)
    rewrite(a, LISTEN + "workers = { count = 5; };")
    reload(a, 2, 2)
    only(a, 2)
    a.stop()


def test_number_of_workers(asgid):
    a = asgid(conf=LISTEN).serving()
    for generation, n in ((2, 3), (3, 1)):
        rewrite(a, LISTEN + "workers = { count = %d; };" % n)
        reload(a, n, generation)
        only(a, n)
    assert len(re.findall("Changed: workers.count", a.log)) == 2
    a.stop()


def test_scale(asgid):
    a = asgid(conf=LISTEN).serving()
    a.signal(signal.SIGTTIN)
    a.wait_log(r"Now 2 worker\(s\)")
    a.wait_log("fake: go", 2)
    assert len(a.workers()) == 2
    a.signal(signal.SIGTTOU)
    a.wait_log(r"Now 1 worker\(s\)")
    only(a, 1)
    a.signal(signal.SIGTTOU)
    a.wait_log(r"0 worker\(s\): expected 1 to 1024 workers")
    a.signal(signal.SIGTTIN)
    a.wait_log("fake: go", 3)
    reload(a, 1, 2)
    only(a, 1)
    a.stop()


def test_added_worker_that_fails_is_no_failed_start(asgid):
    a = asgid().serving()
    a.behave("fail=3")
    a.signal(signal.SIGTTIN)
    a.wait_log("another worker in 1s")
    a.behave("")
    a.wait_log("fake: go", 2)
    assert len(a.workers()) == 2
    a.stop()


# ---- listeners -------------------------------------------------------------

def test_listener_added_and_removed(asgid, port, tmp):
    path = str(tmp / "sock")
    unix = 'unix = "%s"; mode = "0600";' % path
    tcp = 'address = "127.0.0.1:%d";' % port
    a = asgid(conf=listen(tcp)).serving()
    before = fds(a)
    rewrite(a, listen(tcp, unix))
    reload(a, 1, 2)
    only(a, 1)
    assert a.ask() == a.ask(path) == a.worker() and a.port == port
    inode = os.stat(path).st_ino
    # the same socket with other settings
    rewrite(a, listen(unix.replace("0600", "0666")))
    reload(a, 1, 3)
    only(a, 1)
    assert a.ask(path) == a.worker()
    assert os.stat(path).st_ino == inode
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
    poll(lambda: refused(("127.0.0.1", port)), "port closed")
    assert "no longer listens on http://127.0.0.1:%d" % port in a.log
    rewrite(a, LISTEN)
    reload(a, 1, 4)
    only(a, 1)
    assert not os.path.exists(path)
    poll(lambda: fds(a) == before, "descriptors")
    a.stop()


def test_fixed_port_is_kept(asgid, port):
    conf = listen('address = "127.0.0.1:%d";' % port)
    a = asgid(conf=conf).serving()
    for generation in (2, 3):
        reload(a, 1, generation)
        only(a, 1)
        assert a.ask(("127.0.0.1", port)) == a.worker()
    a.stop()


def test_overlapping_addresses(asgid, port):
    one, other, all_ = [listen('address = "%s:%d";' % (host, port))
                        for host in ("127.0.0.1", "127.0.0.2", "0.0.0.0")]
    a = asgid(conf=one).serving()
    before = fds(a)
    for generation, conf in enumerate((all_, other, all_, one), 2):
        rewrite(a, conf)
        reload(a, 1, generation)
        only(a, 1)
        host = "127.0.0.2" if conf is other else "127.0.0.1"
        assert a.ask((host, port)) == a.worker()
        poll(lambda: fds(a) == before, "descriptors")
    a.stop()


def test_overlapping_addresses_of_a_failed_generation(asgid, port):
    """Until it serves, clients find the old one only."""
    conf = listen('address = "%s:%d";')
    a = asgid(conf=conf % ("0.0.0.0", port)).serving()
    old = a.workers()
    rewrite(a, conf % ("127.0.0.1", port))
    a.behave("hang")
    a.signal(signal.SIGHUP)
    poll(lambda: len(a.workers()) == 2, "two workers")
    assert all(a.ask(("127.0.0.1", port)) == old[0] for _ in range(50))
    new, = set(a.workers()) - set(old)
    os.kill(new, signal.SIGKILL)
    a.wait_log(FAILED % "killed by SIGKILL")
    assert only(a, 1) == old and a.ask(("127.0.0.1", port)) == old[0]
    a.stop()


def test_overlapping_addresses_together(asgid, port):
    """.. would be refused at the next start, so they are now."""
    one = 'address = "127.0.0.1:%d";' % port
    a = asgid(conf=listen(one)).serving()
    old, before = a.workers(), fds(a)
    rewrite(a, listen(one, 'address = "0.0.0.0:%d";' % port))
    a.signal(signal.SIGHUP)
    a.wait_log("Reload failed, nothing was changed")
    assert re.search(r"listen 0.0.0.0:\d+: Address already in use", a.log)
    assert a.workers() == old and fds(a) == before
    a.stop()


def test_address_that_another_daemon_overlaps(asgid, port):
    """Neither at the start nor in a reload do two daemons share a port."""
    a, b = [asgid(conf=listen('address = "127.0.0.%d:%d";' % (n, port)))
            for n in (1, 2)]
    a.serving()
    b.serving()
    rewrite(b, listen('address = "0.0.0.0:%d";' % port))
    for n in (1, 2):
        b.signal(signal.SIGHUP)
        b.wait_log("Reload failed, nothing was changed", n)
    assert re.search(r"listen 0.0.0.0:\d+: Address already in use", b.log)
    a.signal(signal.SIGTERM)
    a.wait()
    reload(b, 1, 2)
    only(b, 1)
    assert b.ask(("127.0.0.1", port)) == b.worker()
    b.stop()


def test_listener_that_cannot_be_opened(asgid):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        a = asgid(conf=LISTEN).serving()
        old, before = a.workers(), fds(a)
        rewrite(a, listen('address = "127.0.0.1:0";',
                          'address = "127.0.0.1:%d";' % s.getsockname()[1]))
        a.signal(signal.SIGHUP)
        a.wait_log("Reload failed, nothing was changed")
        assert "Address already in use" in a.log
        assert a.workers() == old and fds(a) == before
        assert a.ask() == old[0]
        a.stop()


def test_new_socket_of_a_failed_generation_is_removed(asgid, tmp):
    path = str(tmp / "sock")
    a = asgid(conf=LISTEN).serving()
    rewrite(a, listen('address = "127.0.0.1:0";', 'unix = "%s";' % path))
    a.behave("fail=3")
    a.signal(signal.SIGHUP)
    a.wait_log(FAILED % "told to fail")
    only(a, 1)
    assert not os.path.exists(path) and a.ask() == a.worker()
    a.stop()


def moved_away_during_a_reload(a, path, put):
    """While the next generation starts, when the listener is already chosen,
    its file goes and put() brings something else."""
    ready = a.tmp / "ready"
    a.behave("until=%s" % ready)
    rewrite(a, listen('unix = "%s"; mode = "0666";' % path))
    a.signal(signal.SIGHUP)
    poll(lambda: len(a.workers()) == 2, "the next generation")
    path.rename(path.with_suffix(".away"))
    put()
    ready.write_text("")
    a.wait_log(DONE % (1, 2))
    only(a, 1)
    mode = path.with_suffix(".away").stat().st_mode
    assert stat.S_IMODE(mode) == 0o666


def test_reload_changes_the_mode_of_its_own_socket_only(asgid, tmp):
    """Who may write to the folder may put a link to anything there."""
    path, secret = tmp / "sock", tmp / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    a = asgid(conf=listen('unix = "%s"; mode = "0600";' % path)).serving()
    moved_away_during_a_reload(a, path, lambda: path.symlink_to(secret))
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    a.stop()
    assert path.is_symlink() and secret.exists()


def test_file_in_the_place_of_a_socket_is_kept(asgid, tmp):
    path = tmp / "sock"
    a = asgid(conf=listen('unix = "%s"; mode = "0600";' % path)).serving()
    moved_away_during_a_reload(a, path, lambda: path.write_text("precious"))
    path.chmod(0o640)
    a.stop()
    assert path.read_text() == "precious"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_inherited_descriptor(asgid):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        n = s.fileno()
        a = asgid(conf=listen("fd = %d;" % n), pass_fds=[n]).serving()
        for generation in (2, 3):
            reload(a, 1, generation)
            only(a, 1)
            assert a.ask(s.getsockname()) == a.worker()
        rewrite(a, listen("fd = %d;" % n, "fd = 99;"))
        a.signal(signal.SIGHUP)
        a.wait_log("listen fd 99: a descriptor can only be inherited")
        assert a.ask(s.getsockname()) == a.worker()
        a.stop()


# ---- logs, restart, service manager ----------------------------------------

def test_logs(asgid, tmp):
    one, two, access = tmp / "one", tmp / "two", tmp / "access"
    a = asgid(conf=LISTEN + 'log = { error = "%s"; };' % one)
    poll(lambda: one.exists() and "fake: go" in one.read_text(), "serving")
    before = fds(a)
    rewrite(a, LISTEN + 'log = { error = "%s"; level = "debug"; '
            'access = "%s"; };' % (two, access))
    a.signal(signal.SIGHUP)
    poll(lambda: two.exists() and "Reloaded: 1" in two.read_text(),
         "reloaded")
    poll(lambda: "debug: worker" in two.read_text(), "debug")
    only(a, 1)
    assert "Reloaded" not in one.read_text() and access.exists()
    access.unlink()
    a.signal(signal.SIGUSR1)
    poll(lambda: access.exists() and "fake: access" in access.read_text(),
         "reopened")
    poll(lambda: fds(a) == before + 1, "descriptors")
    a.stop()


def test_failed_reload_gives_the_log_back(asgid, tmp):
    other = tmp / "other"
    a = asgid(conf=LISTEN).serving()
    rewrite(a, LISTEN + 'log = { error = "%s"; };' % other)
    a.behave("fail=3")
    a.signal(signal.SIGHUP)
    a.wait_log(FAILED % "told to fail")
    assert other.exists() and "Reload failed" not in other.read_text()
    only(a, 1)
    a.stop()


def test_reopen_during_a_reload(asgid, tmp):
    old, new = tmp / "old", tmp / "new"
    a = asgid(conf=LISTEN + 'log = { access = "%s"; };' % old).serving()
    rewrite(a, LISTEN + 'log = { access = "%s"; };' % new)
    a.behave("until=%s/ready" % tmp)
    a.signal(signal.SIGHUP)
    poll(lambda: len(a.workers()) == 2, "two workers")
    new.rename(tmp / "rotated")
    a.signal(signal.SIGUSR1)
    a.wait_log("Log files reopened")
    (tmp / "ready").touch()
    a.wait_log("Reloaded")
    poll(lambda: new.exists() and "fake: access" in new.read_text(),
         "reopened")
    assert not (tmp / "rotated").read_text()
    a.stop()


def test_what_needs_a_restart(asgid, tmp):
    one, two = tmp / "pid", tmp / "pid2"
    a = asgid(conf=LISTEN + 'pid_file = "%s";' % one).serving()
    rewrite(a, LISTEN + 'pid_file = "%s"; app_dir = "/";' % two)
    reload(a, 1, 2)
    assert re.search("WARNING: +pid_file: the change needs a restart", a.log)
    assert "Changed: app_dir\n" in a.log
    assert one.exists() and not two.exists()
    only(a, 1)
    a.stop()
    assert not one.exists()


def test_notify(asgid, tmp):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.settimeout(DEADLINE)
        s.bind(str(tmp / "n"))
        a = asgid(env={"NOTIFY_SOCKET": str(tmp / "n")}).serving()

        def until(line):
            said = []
            while line not in said:
                said += s.recv(4096).decode().split("\n")
            return said

        until("READY=1")
        for words in ("", "fail=3"):
            a.behave(words)
            a.signal(signal.SIGHUP)
            said = until("READY=1")
            assert "RELOADING=1" in said
            assert any(re.fullmatch(r"MONOTONIC_USEC=\d+", x) for x in said)
        only(a, 1)
        a.stop()


# ---- the working directory

def test_working_directory_by_its_name(asgid, tmp):
    """It was "current" that was meant, wherever that leads; a reload that
    fails goes nowhere."""
    for name in "one", "two", "three":
        (tmp / name).mkdir()
    link = tmp / "current"
    os.symlink("one", link)

    def turn(to):
        os.symlink(to, tmp / "next")
        os.rename(tmp / "next", link)

    def where(pid):
        return os.path.basename(os.readlink("/proc/%d/cwd" % pid))

    a = asgid(cwd=link, env={"PWD": str(link)}).serving()
    assert where(a.worker()) == "one"
    turn("two")
    a.behave("fail=3")
    a.signal(signal.SIGHUP)
    a.wait_log(FAILED % "told to fail")
    assert where(only(a, 1)[0]) == where(a.pid) == "one"
    a.behave("")
    a.signal(signal.SIGHUP)
    a.wait_log(DONE % (1, 3))
    assert where(only(a, 1)[0]) == where(a.pid) == "two"
    # no folder is there: the former one is better than none
    turn("four")
    a.signal(signal.SIGHUP)
    a.wait_log("WARNING: +%s: No such file .*the working directory stays" %
               link)
    a.wait_log(DONE % (1, 4))
    assert where(only(a, 1)[0]) == "two"
    a.stop()


def test_working_directory_of_another_name(asgid, tmp):
    """$PWD is believed only where it names the same folder."""
    (tmp / "one").mkdir()
    (tmp / "two").mkdir()
    a = asgid(cwd=tmp / "one", env={"PWD": str(tmp / "two")}).serving()
    a.signal(signal.SIGHUP)
    a.wait_log(DONE % (1, 2))
    assert os.readlink("/proc/%d/cwd" % only(a, 1)[0]) == str(tmp / "one")
    a.stop()
