# SPDX-License-Identifier: BSD-3-Clause
"""What the master is to its surroundings: command line, privileges, logs,
files, service manager, terminal."""
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import ASGID, DEADLINE, FAKE, ORDINARY, all_pids, poll, root_only, stat_of

LISTEN = 'listen = ({ address = "127.0.0.1:0"; });\n'


def run(*args, **kw):
    return subprocess.run([ASGID, *args], capture_output=True, text=True,
                          timeout=DEADLINE, **kw)


# ---- program and command line ----------------------------------------------

def test_no_interpreter_and_no_http_is_linked():
    out = subprocess.run(["readelf", "-d", ASGID], capture_output=True,
                         text=True, check=True).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", out)
    assert any(n.startswith("libc.so") for n in needed)
    assert any(n.startswith("libconfig") for n in needed)
    bad = [n for n in needed
           if re.search("python|microhttpd|gnutls|ssl|crypto", n)]
    assert not bad


def test_version():
    r = run("--version")
    assert r.returncode == 0 and r.stderr == ""
    assert re.fullmatch(r"asgid \d+\.\d+\.\d+\nfakeworker 1\n", r.stdout)


def test_worker_beside_the_program_is_found(tmp):
    shutil.copy(ASGID, tmp / "asgid")
    shutil.copy(FAKE, tmp / "asgid-worker")
    env = {k: v for k, v in os.environ.items() if k != "ASGID_WORKER"}
    r = subprocess.run([tmp / "asgid", "--version"], capture_output=True,
                       text=True, env=env, cwd="/")
    assert r.returncode == 0 and r.stdout.endswith("\nfakeworker 1\n")


NO_WORKER = dict(os.environ, ASGID_WORKER="/nowhere/w")


def test_version_without_worker():
    r = run("--version", env=NO_WORKER, **ORDINARY)
    assert r.returncode == 1
    assert r.stdout.startswith("asgid ") and "/nowhere/w: No such" in r.stderr


@root_only
def test_the_environment_names_no_program_that_root_runs():
    r = run("--version", env=NO_WORKER)
    assert r.returncode == 0 and r.stdout.endswith("\nfakeworker 1\n"), r


@root_only
def test_nor_one_that_a_set_user_id_program_runs(tmp):
    status = pathlib.Path("/proc/self/status").read_text()
    if os.statvfs(tmp).f_flag & os.ST_NOSUID or "NoNewPrivs:\t1" in status:
        pytest.skip("no set-user-ID programs here")
    shutil.copy(ASGID, tmp / "asgid")
    (tmp / "asgid-worker").symlink_to(FAKE)
    os.chown(tmp / "asgid", 1, -1)
    (tmp / "asgid").chmod(0o4755)
    r = subprocess.run([tmp / "asgid", "--version"], capture_output=True,
                       text=True, user="nobody", env=NO_WORKER)
    # LeakSanitizer cannot look into it, and spoils its end
    assert r.stdout.startswith("asgid ") and "/nowhere" not in r.stderr, r


def test_help():
    r = run("--help")
    assert r.returncode == 0 and "--port" in r.stdout
    assert re.search("^  -h  ", r.stdout, re.M)
    assert run("-h").stdout == r.stdout and run("-h").returncode == 0


def test_usage_error():
    r = run("x:y", "--no-such-option")
    assert r.returncode == 2 and "--no-such-option" in r.stderr


def test_check_and_print(tmp):
    good = tmp / "good.conf"
    good.write_text('app = "x:y";\n' + LISTEN)
    r = run("-t", "-c", str(good))
    assert (r.returncode, r.stdout, r.stderr) == (0, "%s: ok\n" % good, "")
    r = run("-T", "-c", str(good))
    assert r.returncode == 0 and 'app = "x:y";' in r.stdout
    bad = tmp / "bad.conf"
    bad.write_text('app = "x:y";\nworkerz = 1;\nlog = { level = "hi"; };\n')
    for args in (["-t"], ["-T"], []):
        r = run(*args, "-c", str(bad))
        assert r.returncode == 6 and r.stdout == ""
        assert "%s:2:" % bad in r.stderr and "%s:3:" % bad in r.stderr


def test_print_to_a_full_disk(tmp):
    with open("/dev/full", "w") as full:
        r = subprocess.run([ASGID, "-T", "x:y"], stdout=full,
                           stderr=subprocess.PIPE, text=True)
    assert r.returncode == 1 and "No space left" in r.stderr


# ---- privileges ------------------------------------------------------------

@root_only
def test_user(asgid):
    a = asgid(conf=LISTEN + 'user = "nobody"; umask = "0027";',
              fake="report").serving()
    gid = int(subprocess.check_output(["id", "-g", "nobody"]))
    groups = subprocess.check_output(["id", "-G", "nobody"], text=True)
    assert "fake: Uid:\t65534\t65534\t65534\t65534" in a.log
    assert "fake: Gid:" + 4 * ("\t%d" % gid) in a.log
    found = re.search(r"fake: Groups:\t([\d ]*)$", a.log, re.M)[1].split()
    assert set(found) == set(groups.split())
    assert "fake: Umask:\t0027" in a.log
    assert "fake: env USER=nobody" in a.log
    assert "fake: env HOME=/nonexistent" in a.log
    assert "fake: pdeathsig %d" % signal.SIGTERM in a.log
    assert "as root" not in a.log
    assert os.stat("/proc/%d" % a.pid).st_uid == 0
    pids = a.workers()
    a.signal(signal.SIGKILL)
    a.wait()
    poll(lambda: not any(map(stat_of, pids)), "workers end")


@root_only
def test_group(asgid):
    a = asgid(conf=LISTEN + 'user = "nobody"; group = "daemon";',
              fake="report").serving()
    assert "fake: Gid:" + 4 * "\t1" in a.log
    a.stop()


@root_only
def test_daemon_as_root_without_user_is_warned(asgid):
    a = asgid(conf=LISTEN).serving()
    assert "WARNING:  the application runs as root" in a.log
    a.stop()


@root_only
def test_command_line_as_root_is_not_warned(asgid):
    a = asgid().serving()
    assert "as root" not in a.log
    a.stop()


@pytest.mark.parametrize("line", ['user = "no-such-user";',
                                  'group = "no-such-group";'])
def test_unknown_user_or_group(asgid, line):
    a = asgid(conf=LISTEN + line)
    assert a.wait() == 6
    assert "no such " in a.log and "Started" not in a.log


@root_only
def test_user_needs_root(asgid):
    a = asgid(conf=LISTEN + 'user = "daemon";', user="nobody")
    assert a.wait() == 1
    assert "only root can start workers as daemon" in a.log


@root_only
def test_same_user_needs_no_root(asgid):
    a = asgid(conf=LISTEN + 'user = "nobody";', user="nobody",
              group="nogroup", fake="report").serving()
    assert "fake: Uid:\t65534\t65534\t65534\t65534" in a.log
    a.stop()


LIMITS = LISTEN + "limits = { connections = 3000; };"


def may_raise_hard_limits():
    caps = re.search(r"^CapEff:\s+(\S+)", pathlib.Path(
        "/proc/self/status").read_text(), re.M)[1]
    return int(caps, 16) >> 24 & 1


def test_descriptor_limit_is_raised(asgid):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if 0 <= hard < 3256:
        pytest.skip("the hard limit is %d" % hard)
    a = asgid(conf=LIMITS, fake="report",
              preexec_fn=lambda: resource.setrlimit(
                  resource.RLIMIT_NOFILE, (512, hard))).serving()
    assert "fake: nofile 3256\n" in a.log
    a.stop()


def test_hard_descriptor_limit(asgid):
    a = asgid(conf=LIMITS, fake="report",
              preexec_fn=lambda: resource.setrlimit(
                  resource.RLIMIT_NOFILE, (512, 1024))).serving()
    if may_raise_hard_limits():
        assert "fake: nofile 3256\n" in a.log
    else:
        assert "fake: nofile 1024\n" in a.log
        line = re.search("WARNING:.*limits.connections.*", a.log)[0]
        assert "3256" in line and "1024" in line and "LimitNOFILE" in line
    a.stop()


@root_only
def test_hard_descriptor_limit_of_a_user(asgid):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 1024))
        os.setgid(65534)
        os.setuid(65534)

    a = asgid(conf=LIMITS, fake="report", preexec_fn=limit).serving()
    assert "fake: nofile 1024\n" in a.log
    line = re.search("WARNING:.*limits.connections.*", a.log)[0]
    assert "3256" in line and "1024" in line and "LimitNOFILE" in line
    a.stop()


# ---- what a worker inherits ------------------------------------------------

def test_worker_inherits_only_what_it_shall(asgid, tmp):
    extra = [os.open("/dev/null", os.O_RDONLY) for _ in range(4)]
    access = tmp / "access"
    a = asgid(conf=LISTEN + 'pid_file = "%s/pid"; log = { access = "%s"; };' %
              (tmp, access), fake="report", pass_fds=extra,
              env={"LISTEN_FDS": "3", "LISTEN_PID": "1"}).serving()
    born = re.search(r"channel=(\d+),(\d+) error=2 access=(\d+) stats=(\d+)",
                     a.log)
    listeners = re.findall(r"fake: listener (\d+)", a.log)
    fds = dict(re.findall(r"fake: fd (\d+) (.*)", a.log))
    assert set(fds) == {"0", "1", "2", *born.groups(), *listeners}
    assert fds[born[3]] == str(access)
    assert len(listeners) == 1
    assert "env ASGID_BIRTH" not in a.log and "env LISTEN" not in a.log
    a.stop()
    for fd in extra:
        os.close(fd)


def test_log_off_and_standard_descriptors(asgid):
    a = asgid("--no-access-log", fake="report").serving()
    assert " error=2 access=-1 " in a.log
    a.stop()


def careless_parent():
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    for s in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(s, signal.SIG_IGN)


def test_signals_of_a_careless_parent(asgid):
    a = asgid(preexec_fn=careless_parent, fake="report").serving()
    assert "fake: SigBlk:\t0000000000000000" in a.log
    ignored = int(re.search(r"fake: SigIgn:\t(\w+)", a.log)[1], 16)
    # 32 and 33 are the C library's: it lets nobody touch them, but its
    # posix_spawn() leaves them ignored
    ignored &= ~(1 << 32 - 1 | 1 << 33 - 1)
    assert ignored == 1 << signal.SIGINT - 1 | 1 << signal.SIGQUIT - 1
    a.stop()


def test_closed_standard_descriptors(asgid, tmp):
    def close():
        for fd in (0, 1):
            os.close(fd)

    a = asgid(fake="report", preexec_fn=close).serving()
    assert "fake: fd 0 /dev/null" in a.log
    assert "fake: fd 1 /dev/null" in a.log
    a.stop()


# ---- logs ------------------------------------------------------------------

def test_reopen(asgid, tmp):
    error, access = tmp / "error", tmp / "access"
    conf = LISTEN + 'log = { error = "%s"; access = "%s"; };' % (error,
                                                                access)
    user = 'user = "nobody";' if os.geteuid() == 0 else ""
    a = asgid("--workers", "2", conf=conf + user)
    poll(lambda: error.exists() and
         error.read_text().count("fake: go") == 2, "serving")
    assert a.log == ""
    for old in (error, access):
        old.rename(str(old) + ".1")
    a.signal(signal.SIGUSR1)
    # the workers may be quicker than the master's own line
    poll(lambda: error.exists() and
         error.read_text().count("fake: reopened") == 2 and
         "asgid[%d]: info: Log files reopened\n" % a.pid in error.read_text(),
         "reopened")
    assert "reopened" not in pathlib.Path(str(error) + ".1").read_text()
    poll(lambda: access.read_text().count("fake: access") == 2, "access log")
    a.stop()
    assert "Finished asgid" in error.read_text()


def test_reopen_with_a_later_worker(asgid, tmp):
    access = tmp / "access"
    a = asgid(conf=LISTEN + 'log = { access = "%s"; };' % access).serving()
    access.rename(str(access) + ".1")
    a.signal(signal.SIGUSR1)
    a.wait_log("fake: reopened")
    a.behave("report")
    os.kill(a.worker(), signal.SIGKILL)
    a.wait_log("fake: go", 2)
    fd = re.search(r"fake: born.*access=(\d+)", a.log)[1]
    assert "fake: fd %s %s\n" % (fd, access) in a.log
    a.stop()


def test_reopen_fails(asgid, tmp):
    folder = tmp / "log"
    folder.mkdir()
    access = folder / "access"
    a = asgid(conf=LISTEN + 'log = { access = "%s"; };' % access).serving()
    access.unlink()
    folder.rmdir()
    a.signal(signal.SIGUSR1)
    a.wait_log("ERROR: .*log.access: %s: No such file" % access)
    assert a.ask() == a.worker()
    a.stop()


@pytest.mark.parametrize("which", ["error", "access"])
def test_log_that_cannot_be_opened(asgid, which):
    a = asgid(conf=LISTEN + 'log = { %s = "/nowhere/log"; };' % which)
    assert a.wait() == 1
    assert "log.%s: /nowhere/log: No such file" % which in a.log


# ---- pid file --------------------------------------------------------------

def test_pid_file(asgid, tmp):
    path = tmp / "pid"
    conf = LISTEN + 'pid_file = "%s";' % path
    a = asgid(conf=conf).serving()
    assert path.read_text() == "%d\n" % a.pid
    b = asgid(conf=conf)
    assert b.wait() == 1
    assert "pid_file %s: another asgid is running" % path in b.log
    assert path.read_text() == "%d\n" % a.pid
    a.stop()
    assert not path.exists()


def test_pid_file_of_a_killed_master(asgid, tmp):
    path = tmp / "pid"
    path.write_text("1\n")
    a = asgid(conf=LISTEN + 'pid_file = "%s";' % path).serving()
    assert path.read_text() == "%d\n" % a.pid
    a.stop()


def test_pid_file_that_is_none(asgid, tmp):
    path = tmp / "pid"
    path.write_text("precious data\n")
    a = asgid(conf=LISTEN + 'pid_file = "%s";' % path)
    assert a.wait() == 1
    assert path.read_text() == "precious data\n"


# ---- service manager -------------------------------------------------------

@pytest.mark.parametrize("abstract", [False, True])
def test_notify(asgid, tmp, abstract):
    name = "@asgid-test-%d" % os.getpid() if abstract else str(tmp / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.settimeout(DEADLINE)
        s.bind("\0" + name[1:] if abstract else name)
        a = asgid("--workers", "2", env={"NOTIFY_SOCKET": name},
                  fake="report").serving(2)
        said = []
        while "STATUS=2 of 2 workers serve" not in said:
            said += s.recv(4096).decode().split("\n")
        assert said.count("READY=1") == 1
        assert "MAINPID=%d" % a.pid in said
        assert said.index("READY=1") > said.index(
            "STATUS=1 of 2 workers serve")
        assert "env NOTIFY_SOCKET" not in a.log
        a.stop()
        said = []
        while "STOPPING=1" not in said:
            said += s.recv(4096).decode().split("\n")


def test_notify_of_a_failed_start(asgid, tmp):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.settimeout(DEADLINE)
        s.bind(str(tmp / "n"))
        a = asgid(env={"NOTIFY_SOCKET": str(tmp / "n")}, fake="fail=3")
        assert a.wait() == 3
        assert s.recv(4096).startswith(b"STOPPING=1")


# ---- process 1 of a container ----------------------------------------------

def children(parent):
    """(living ones, those that nobody has waited for)"""
    found = [], []
    for pid in all_pids():
        try:
            text = pathlib.Path("/proc/%d/stat" % pid).read_text()
        except OSError:
            continue
        state, ppid = text.rpartition(")")[2].split()[:2]
        if int(ppid) == parent:
            found[state == "Z"].append(pid)
    return found


@pytest.fixture
def container(asgid):
    unshare = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("no PID namespaces here")

    def start(*args, **kw):
        # the leak check wants a /proc that knows these numbers
        a = asgid(*args, wrapper=unshare,
                  env={"ASAN_OPTIONS": "detect_leaks=0"}, **kw)
        a.wait_log(r"Started asgid \[1\]")
        return a

    return start


@root_only
def test_process_one_buries_orphans(container):
    a = container("--workers", "3", fake="orphan").serving(3)
    master = a.worker()
    a.wait_log("fake: orphan", 3)

    def buried():
        living, dead = children(master)
        return not dead and len(living) == 3 and living

    # and its workers are still its own
    workers = poll(buried, lambda: children(master))
    os.kill(workers[0], signal.SIGKILL)
    a.wait_log("fake: go", 4)
    assert "died: killed by SIGKILL" in a.log
    assert poll(buried, lambda: children(master)) != workers
    os.kill(master, signal.SIGTERM)
    assert a.wait() == 0


@root_only
def test_process_one_buries_an_orphan_behind_a_worker(container, tmp):
    """Both have died before the one signal that tells of it is heard."""
    a = container().serving()
    master = a.worker()
    worker, = children(master)[0]
    a.behave("orphan=%s/now" % tmp)
    os.kill(master, signal.SIGTTIN)
    poll(lambda: len(children(master)[0]) == 2, "another worker")
    os.kill(master, signal.SIGSTOP)
    poll(lambda: stat_of(master)[0] == "T", "stopped")
    (tmp / "now").touch()
    a.wait_log("fake: orphan")
    a.behave("")
    os.kill(worker, signal.SIGKILL)
    poll(lambda: len(children(master)[1]) == 2, lambda: children(master))
    os.kill(master, signal.SIGCONT)
    a.wait_log("fake: go", 3)
    poll(lambda: not children(master)[1], lambda: children(master))
    os.kill(master, signal.SIGTERM)
    assert a.wait() == 0


# ---- descriptors -----------------------------------------------------------

def test_master_leaks_no_descriptor(asgid, tmp):
    def count():
        return len(os.listdir("/proc/%d/fd" % a.pid))

    a = asgid(conf=LISTEN + 'log = { access = "%s/access"; };' % tmp,
              fake="recycle=%s/now" % tmp).serving()
    before = count()
    a.behave("recycle")
    (tmp / "now").touch()
    a.wait_log("Finished worker process", 5)
    a.signal(signal.SIGUSR1)
    a.wait_log("Log files reopened")
    a.behave("")
    poll(lambda: len(a.workers()) == 1 and count() == before,
         lambda: (count(), before))
    a.stop()


@root_only
def test_fork_fails_on_first_start(asgid):
    # a user who has no other process, not even in another run of this
    uid = 20000 + os.getpid() % 40000

    def limit():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        os.setgid(uid)
        os.setuid(uid)

    a = asgid(preexec_fn=limit, env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert a.wait() == 1
    assert "cannot start a worker: fork: Resource temporarily unavailable" in a.log


# ---- idle ------------------------------------------------------------------

def switches(pid):
    text = pathlib.Path("/proc/%d/status" % pid).read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text,
                         re.M)[1])


def test_idle_master_sleeps(asgid):
    a = asgid("--workers", "2").serving(2)
    poll(lambda: stat_of(a.pid)[0] == "S", "asleep")
    before = switches(a.pid)
    time.sleep(1)       # the only way to see that nothing happens
    assert switches(a.pid) == before
    a.stop()
