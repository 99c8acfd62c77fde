# SPDX-License-Identifier: BSD-3-Clause
"""What `asgid -t` refuses, and `asgictl check` and a reload with it: all that
a start would refuse, at once, with file and line."""
import ctypes
import os
import re
import signal
import subprocess

import pytest

from conftest import ASGID, BUILD, DEADLINE, poll, root_only, stat_of

ASGICTL = str(BUILD / "src" / "asgictl" / "asgictl")
NOWHERE = "/nowhere/at/all"


def run(*args, **kw):
    env = {k: v for k, v in os.environ.items()
           if k not in ("VIRTUAL_ENV", "WEB_CONCURRENCY")}
    env.update(kw.pop("env", {}))
    return subprocess.run([*map(str, args)], capture_output=True, text=True,
                          timeout=DEADLINE, env=env, **kw)


def check(tmp, text, *args, **kw):
    """asgid -t of this text; what it says, without the file's name."""
    path = tmp / "a.conf"
    path.write_text(text)
    r = run(ASGID, "-t", "-c", path, *args, **kw)
    if r.returncode == 0:
        assert r.stdout == "%s: ok\n" % path
    else:
        assert r.returncode == 6 and r.stdout == "", r
    return r.returncode, r.stderr.replace("%s:" % path, "")


def test_all_at_once(tmp):
    status, text = check(tmp, """app = "pkg/main.py:app";
app_dir = "%(0)s/app";
user = "no-such-user";
group = "no-such-group";
log = { error = "%(0)s/error.log";
        access = "%(0)s/access.log"; };
pid_file = "%(0)s/pid";
control = { socket = "%(0)s/sock";
            group = "no-such-group"; };
listen = ( { unix = "%(0)s/sock";
             owner = "no-such-user"; group = "no-such-group"; },
           "127.0.0.1:0" );
""" % {"0": NOWHERE})
    gone = "the directory " + NOWHERE + ": No such file or directory"
    assert (status, text.splitlines()) == (6, [
        "3: user: no such user: no-such-user",
        "4: group: no such group: no-such-group",
        "9: control.group: no such group: no-such-group",
        "10: listen.owner: no such user: no-such-user",
        "10: listen.group: no such group: no-such-group",
        "5: log.error: %s/error.log: %s" % (NOWHERE, gone),
        "6: log.access: %s/access.log: %s" % (NOWHERE, gone),
        "7: pid_file: %s/pid: %s" % (NOWHERE, gone),
        "8: control.socket: %s/sock: %s" % (NOWHERE, gone),
        "10: listen: %s/sock: %s" % (NOWHERE, gone),
        '1: app: "pkg/main.py:app": the path of a file, not the name of a '
        "module, did you mean pkg.main:app?"])


def test_the_command_line_too(tmp):
    r = run(ASGID, "-t", "main", "--app-dir", NOWHERE, "-o",
            "control.group=no-such-group", "-o", "python.venv=" + NOWHERE)
    assert (r.returncode, r.stdout) == (6, "")
    assert r.stderr.splitlines() == [
        "-o: control.group: no such group: no-such-group",
        'APP: app: "main": not of the form module:attribute']
    r = run(ASGID, "-t", "x:y", "--app-dir", NOWHERE, "-o",
            "python.venv=" + NOWHERE)
    assert (r.returncode, r.stdout) == (6, "")
    assert r.stderr.splitlines() == [
        "--app-dir: app_dir: %s: No such file or directory" % NOWHERE,
        "-o: python.venv: %s is no virtual environment: No such file or "
        "directory" % NOWHERE]


# what may be wrong -> what is said; %s is the folder
REFUSED = {
    "a file for a folder": (
        'log = { error = "%s/file/error.log"; };',
        r"log\.error: \S+/file/error\.log: the directory \S+/file: "
        r"Not a directory"),
    "a folder for a file": (
        'log = { access = "%s/dir"; };', r"log\.access: \S+/dir: Is a direc"),
    "pid file": ('pid_file = "%s/dir";', r"pid_file: \S+/dir: Is a direct"),
    "a pid file of something else": (
        'pid_file = "%s/text";',
        r"pid_file: \S+/text: a file with other contents is there"),
    "a file for a socket": (
        'listen = ( { unix = "%s/file"; } );',
        r"listen: \S+/file: a file that is no socket is there"),
    "control": ('control = { socket = "%s/file"; };',
                r"control\.socket: \S+/file: a file that is no socket"),
    "two folders away": (
        'control = { socket = "%s/a/b/sock"; };',
        r"control\.socket: \S+: the directory \S+/a/b: No such"),
    "app_dir": ('app_dir = "%s/file";', r"app_dir: \S+/file: Not a direct"),
    "no venv": ('python = { venv = "%s/dir"; };',
                r"python\.venv: \S+/dir is no virtual environment: it has no"
                r" pyvenv\.cfg"),
    "a venv that never says": (
        'python = { venv = "%s/pipe"; };',
        r"python\.venv: \S+/pipe is no virtual environment: not a regular "
        r"file"),
    "another Python's": (
        'python = { venv = "%s/venv"; };',
        r"python\.venv: \S+/venv is a virtual environment of Python 3\.2, "
        r"but this asgid embeds Python 3\.\d+; make it again with: "),
}
TAKEN = {
    "a folder away": 'control = { socket = "%s/a/sock"; };',
    "logs": 'log = { error = "%s/e"; access = "%s/file"; };',
    "pid file": 'pid_file = "%s/pid";',
    "null": 'log = { access = "/dev/null"; };',
    "venv": 'python = { venv = "%s/good"; };',
    "app_dir": 'app_dir = "%s/dir";',
}


@pytest.fixture
def site(tmp):
    (tmp / "dir").mkdir()
    (tmp / "file").touch()
    (tmp / "text").write_text("Dear diary,\n")
    (tmp / "pid").write_text("12\n")
    for name, version in ("venv", "3.2.1"), ("good", None):
        (tmp / name).mkdir()
        (tmp / name / "pyvenv.cfg").write_text(
            "version = %s\n" % version if version else "home = /usr/bin\n")
    (tmp / "pipe").mkdir()
    os.mkfifo(tmp / "pipe/pyvenv.cfg")
    return tmp


@pytest.mark.parametrize("what", REFUSED)
def test_refused(site, what):
    text, says = REFUSED[what]
    status, err = check(site, 'app = "x:y";\n' + text % site)
    assert status == 6 and re.fullmatch("2: %s.*\n" % says, err), err


@pytest.mark.parametrize("what", TAKEN)
def test_taken(site, what):
    text = TAKEN[what].replace("%s", str(site))
    before = sorted(os.listdir(site))
    status, err = check(site, 'app = "x:y";\n' + text)
    assert (status, err) == (0, "")
    # nothing was made
    assert sorted(set(os.listdir(site)) - {"a.conf"}) == before


def test_virtual_env_of_the_environment(site):
    r = run(ASGID, "-t", "x:y", env={"VIRTUAL_ENV": str(site / "venv")})
    assert r.returncode == 6
    assert r.stderr.startswith("VIRTUAL_ENV: ") and "3.2" in r.stderr


def test_a_lost_working_directory(tmp):
    (tmp / "lost").mkdir()
    script = 'cd "$1" && rmdir "$1" && exec "$2" -t x:y'
    r = run("sh", "-c", script, "sh", tmp / "lost", ASGID)
    assert r.returncode == 6
    assert r.stderr == "app_dir: the current directory: it is gone\n"


@root_only
@pytest.mark.parametrize("closed", ["shut", "shut/inner", "listless"])
def test_what_the_user_cannot_read(tmp, closed):
    (tmp / "shut" / "inner").mkdir(parents=True)
    (tmp / "shut").chmod(0o700)
    (tmp / "listless").mkdir(mode=0o711)
    text = 'app = "x:y";\napp_dir = "%s/%s";\nuser = "nobody";\n' % (
        tmp, closed)
    status, err = check(tmp, text)
    assert status == 6 and re.fullmatch(
        r"2: app_dir: \S+: the user nobody may not (enter \S+/shut|"
        r"read \S+/(shut|listless))\n", err), err
    assert ("enter" in err) == (closed == "shut/inner")
    (tmp / "shut").chmod(0o755)
    (tmp / "listless").chmod(0o755)
    assert check(tmp, text) == (0, "")


@root_only
def test_root_s_configuration_for_somebody_else(tmp):
    """Who may not look does not know: the rest is checked."""
    (tmp / "logs").mkdir(mode=0o700)
    text = ('app = "x:y";\nuser = "root";\nlog = { error = "%s/logs/e"; };\n'
            % tmp)
    tmp.chmod(0o777)
    status, err = check(tmp, text, user="nobody")
    assert (status, err) == (0, "asgid: only root can start this: what may "
                             "be read and written was not checked\n")
    status, err = check(tmp, text + 'control = { group = "no-such-group"; '
                        '};\n', user="nobody")
    assert (status, err) == (6, "4: control.group: no such group: "
                             "no-such-group\n")
    # one's own configuration is checked in full
    text = text.replace('user = "root"', 'user = "nobody"')
    status, err = check(tmp, text, user="nobody")
    assert status == 6 and "Permission denied" in err, err


def children(pid):
    """Zombies too."""
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return f.read().split()


# ---- beside -t -------------------------------------------------------------

@pytest.mark.parametrize("text", [
    'user = "no-such-user";', 'group = "no-such-group";',
    'control = { socket = ""; group = "no-such-group"; };',
    'listen = ( { unix = "%s/s"; owner = "no-such-user"; } );'])
def test_a_start_with_unknown_names(asgid, tmp, text):
    a = asgid(conf=text.replace("%s", str(tmp)))
    assert a.wait() == 6
    assert re.search(r"conf:2: \S+: no such (user|group): no-such-", a.log)


@pytest.fixture
def served(asgid, tmp):
    """A daemon with a control socket; change(text) adds to its file."""
    base = ('listen = ({ address = "127.0.0.1:0"; });\n'
            'control = { socket = "%s/sock"; };\n' % tmp)
    a = asgid(conf=base, env={"VIRTUAL_ENV": ""}).serving()
    path = next(tmp.glob("asgid.*.conf"))

    def change(text):
        path.write_text('app = "x:y";\n' + base + text)

    def ask(*words):
        return run(ASGICTL, "-q", "-s", tmp / "sock", *words)

    a.change, a.ask_for = change, ask
    return a


@pytest.mark.parametrize("text, says", [
    ('user = "no-such-user";', ":4: user: no such user: no-such-user"),
    ('python = { venv = "/nowhere"; };',
     ":4: python.venv: /nowhere is no virtual environment"),
    ('app_dir = "/nowhere";', ":4: app_dir: /nowhere: No such file"),
    ('log = { access = "/nowhere/log"; };',
     ":4: log.access: /nowhere/log: the directory /nowhere: No such file"),
    ('listen = ({ unix = "/tmp/x"; group = "no-such-group"; });',
     None)])
def test_check_and_reload(served, text, says):
    worker = served.worker()
    if says is None:
        says = ": listen.group: no such group: no-such-group"
        served.change("")
        path = next(served.tmp.glob("asgid.*.conf"))
        path.write_text('app = "x:y";\n' + text)
    else:
        served.change(text)
    for command in "check", "reload":
        r = served.ask_for(command)
        assert r.returncode == 6 and says in r.stderr, r
    assert served.worker() == worker and served.ask() == worker
    served.change("")
    assert served.ask_for("check").returncode == 0
    assert served.ask_for("reload").returncode == 0
    served.stop()


def test_the_application_s_files_do_not_stop_the_master(served, tmp):
    """What belongs to it may become anything: here a FIFO."""
    (tmp / "venv").mkdir()
    os.mkfifo(tmp / "venv" / "pyvenv.cfg")
    served.change('python = { venv = "%s/venv"; };' % tmp)
    for command in "check", "reload":
        r = served.ask_for(command)
        assert r.returncode == 6 and "not a regular file" in r.stderr, r
    assert served.ask() == served.worker()
    served.stop()


@root_only
def test_who_looks_and_does_not_come_back(asgid, tmp):
    """As the workers' user: it waits for a FIFO, and leaves no zombie."""
    a = asgid(conf='user = "nobody"; listen = ({ address = "127.0.0.1:0"; });\n'
              'control = { socket = "%s/sock"; };\n' % tmp,
              env={"VIRTUAL_ENV": ""}, wrapper=[
                  "unshare", "--mount", "--propagation", "private"]).serving()
    os.mkfifo(tmp / "fifo")
    (tmp / "fifo").chmod(0o666)
    run("nsenter", "-t", a.pid, "-m", "mount", "--bind", tmp / "fifo",
        "/dev/null", check=True)

    def look():
        r = run(ASGICTL, "-q", "-s", tmp / "sock", "check")
        assert r.returncode == 0, r
        return "no answer in time from the file system" in a.log

    # who looks names up has the FIFO too, until it is gone
    poll(look, "nobody came back")
    poll(lambda: len(children(a.pid)) == 1, "it is buried")
    run("nsenter", "-t", a.pid, "-m", "umount", "/dev/null", check=True)
    a.stop()


def test_a_reload_leaves_alone_what_stays(asgid, tmp):
    """What is open is in use, whatever has become of its folder."""
    (tmp / "logs").mkdir()
    a = asgid(conf='listen = ({ address = "127.0.0.1:0"; });\n'
              'control = { socket = "%s/sock"; };\n'
              'log = { access = "%s/logs/access"; };\n' % (tmp, tmp),
              env={"VIRTUAL_ENV": ""}).serving()
    (tmp / "logs" / "access").unlink()
    (tmp / "logs").rmdir()
    r = run(ASGICTL, "-q", "-s", tmp / "sock", "reload")
    assert r.returncode == 0, r
    # what a start would refuse is what `check` tells
    r = run(ASGICTL, "-q", "-s", tmp / "sock", "check")
    assert r.returncode == 6 and "log.access" in r.stderr, r
    a.stop()


@root_only
def test_logs_that_the_workers_can_lead_elsewhere(tmp):
    """As a start would say, and at once for a FIFO."""
    (tmp / "log").mkdir()
    (tmp / "log").chmod(0o777)
    os.mkfifo(tmp / "fifo")
    status, text = check(tmp, """app = "x:y"; user = "nobody";
log = { error = "%(0)s/log/error.log";
        access = "%(0)s/fifo"; };
""" % {"0": tmp})
    assert status == 6
    first, second = text.splitlines()
    assert first.startswith("2: log.error: %s/log/error.log: the user that "
                            "the workers run as can write to the directory "
                            "%s/log" % (tmp, tmp))
    assert second == ("3: log.access: %s/fifo: neither a regular file nor a "
                      "device" % tmp)


@pytest.fixture
def dead_folder(tmp):
    """Of a file system that never answers."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tmp / "dead"
    folder.mkdir()
    try:
        fuse = os.open("/dev/fuse", os.O_RDWR)
    except OSError:
        pytest.skip("no /dev/fuse")
    try:
        if libc.mount(b"dead", bytes(folder), b"fuse", 0, b"fd=%d,rootmode="
                      b"40000,user_id=0,group_id=0,allow_other" % fuse) == -1:
            pytest.skip("cannot mount")
        yield folder
        libc.umount2(bytes(folder), 2)          # MNT_DETACH
    finally:
        os.close(fuse)


@root_only
def test_who_looks_and_hangs_is_buried(asgid, tmp, dead_folder):
    a = asgid(conf='listen = ({ address = "127.0.0.1:0"; });\n'
              'user = "nobody"; control = { socket = "%s/sock"; };\n' % tmp,
              env={"VIRTUAL_ENV": ""}).serving()
    with next(tmp.glob("asgid.*.conf")).open("a") as f:
        f.write('app_dir = "%s";\n' % dead_folder)
    # a signal meanwhile makes no difference
    for count in 1, 2:
        p = subprocess.Popen([ASGICTL, "-q", "-s", tmp / "sock", "check"])
        poll(lambda: [c for c in children(a.pid)
                      if (stat_of(int(c)) or "?")[0] == "D"], "who looks")
        a.signal(signal.SIGCHLD)
        assert p.wait(DEADLINE) == 0, a.log
        a.wait_log("app_dir: no answer in time from the file system", count)
    poll(lambda: len(children(a.pid)) == 1, "the worker alone")
    a.stop()
