# SPDX-License-Identifier: BSD-3-Clause
"""Every option, changed by a reload: it does what its class in options.def
says.  A probe finds out what is in effect; where an effect is a deadline that
passes, the other value is far above what the probe waits: long for what is
to come, only a while for what is not."""
import contextlib
import grp
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import venv

import pytest

from harness import APPS, SCALE, Connection, Late, get, poll, program
from procfs import accepts, children

LIMIT = 60 * SCALE
TABLE = pathlib.Path(__file__).parents[2] / "src" / "conf" / "options.def"
CLASSES = dict(re.findall(
    r'^OPTION\("([\w.]+)",[^"]*(?:"[^"]*")?.*?\b(LIVE|WORKER|RESTART),',
    TABLE.read_text(), re.M))
# tested where they belong: test_control.py (RESTART), test_watch.py
ELSEWHERE = {
    "timeouts.hang", "control.socket", "control.mode", "control.group",
    "control.grant", "metrics.listen", "reload.watch", "reload.dirs",
    "reload.include", "reload.exclude", "reload.delay"}

AWHILE = 0.4        # what is not to come is waited for so long
SOON = "150ms"
NEVER = "10m"


class Site:
    """A daemon whose options are {"group.name": libconfig text}."""

    def __init__(self, asgid, tmp, options):
        self.tmp = tmp
        self.options = {
            "app": '"facts:app"', "app_dir": '"%s"' % APPS,
            "log.access": '"off"', "lifespan": '"on"',
            "control.socket": '""', **options}
        self.conf = asgid.directory / "asgid0.conf"
        self.d = asgid(conf=self.text(), serve=False,
                       env={"FACTS": str(tmp), "VIRTUAL_ENV": ""})
        self.d.allow("the change needs a restart", "runs as root",
                     "factory detected")
        poll(lambda: "running on" in self.log(), self.log, LIMIT)
        poll(lambda: all(map(accepts, children(self.d.pid))), self.log, LIMIT)
        self.port = int(re.search(r"http://127.0.0.1:(\d+)", self.log())[1])

    def text(self):
        lines, groups = [], {}
        for key, value in self.options.items():
            group, _, name = key.rpartition(".")
            groups.setdefault(group, []).append("%s = %s;" % (name, value))
        for group, settings in groups.items():
            text = " ".join(settings)
            lines.append("%s = { %s };" % (group, text) if group else text)
        lines.append('listen = ( { address = "127.0.0.1:0"; } );')
        return "\n".join(lines) + "\n"

    def log(self):
        return self.d.stderr + "".join(
            p.read_text() for p in sorted(self.tmp.glob("error*")))

    def begin_reload(self):
        self.reloads = self.log().count("Reloaded: ")
        self.conf.write_text(self.text())
        old = children(self.d.pid)
        self.d.signal(signal.SIGHUP)
        return old

    def end_reload(self):
        poll(lambda: self.log().count("Reloaded: ") > self.reloads, self.log,
             LIMIT)

    def reload(self):
        """The workers before it."""
        old = self.begin_reload()
        self.end_reload()
        return old

    def settle(self, old):
        poll(lambda: not set(old) & set(children(self.d.pid)), self.log,
             LIMIT)

    def comes(self, condition, awhile=AWHILE):
        """Does it become true? The answer that is expected decides how long
        that is waited for."""
        try:
            return bool(poll(condition, "", LIMIT if self.expects_it else
                             awhile))
        except AssertionError:
            return False

    def connect(self, **kw):
        c = Connection(("127.0.0.1", self.port), **kw)
        self.d.conns.append(c)
        return c

    def ask(self, target="/facts", headers=(), **kw):
        method = kw.pop("method", "GET")
        while True:
            with contextlib.suppress(Late), self.connect() as c:
                return c.request(method, target, headers, **kw)

    @contextlib.contextmanager
    def flag(self, name):
        path = self.tmp / name
        path.touch()
        try:
            yield
        finally:
            path.unlink()


# ---- probes: what is in effect? ---------------------------------------------

def fact(name):
    return lambda s: json.loads(s.ask().text)[name]


def header(name):
    return lambda s: s.ask().get(name)


def status(*args, **kw):
    return lambda s: s.ask(*args, **kw).status


def workers(s):
    return len(children(s.d.pid))


def factory_is_guessed(s):
    n = s.log().count("factory detected")
    s.settle(s.reload())
    return s.log().count("factory detected") > n


def recycled(s):
    """Is a worker replaced after three requests?"""
    n = s.log().count("asking to be replaced")
    old = children(s.d.pid)
    for _ in range(3):
        s.ask()
    if s.log().count("asking to be replaced") == n:
        return False
    s.settle(old)
    return True


def several_at_once(s):
    """Or is a second connection left in the queue?"""
    with s.connect() as first, s.connect() as second:
        first.request("GET", "/facts")
        second.send(get("/facts"))
        answered = s.comes(lambda: not second.quiet(0))
        first.close()
        assert second.response().status == 200
        return answered


def busy_with_one(s):
    with s.connect() as first:
        first.send(get("/hold"))
        first.consumed()
        return s.ask().status


def ends(data):
    """Does the connection come to an end after these bytes?"""
    def probe(s):
        with s.connect() as c:
            c.try_send(data)
            return s.comes(lambda: not c.quiet(0)) and \
                c.response().status == 408
    return probe


def idle_ends(s):
    with s.connect() as c:
        c.request("GET", "/facts")
        return s.comes(lambda: not c.quiet(0))


def unread_is_cut(s):
    with s.connect() as c:
        n = s.d.stdout.count("cut")
        c.send(get("/big"))
        poll(lambda: c.sock.recv(1, socket.MSG_PEEK), "an answer", LIMIT)
        return s.comes(lambda: s.d.stdout.count("cut") > n, 4 * AWHILE)


def held_is_cancelled(s):
    with s.connect() as c:
        c.send(get("/hold"))
        c.consumed()
        old = s.reload()
        if not s.comes(lambda: not c.quiet(0), 2 * AWHILE):
            c.close()
            return False
        assert c.response().status == 503
    s.settle(old)
    return True


def slow_start_fails(s):
    """Its application waits for the end of this flag."""
    with s.flag("slow-start"):
        old = s.begin_reload()
        if s.comes(lambda: "Reload failed" in s.log()):
            return True
    s.end_reload()
    s.settle(old)
    return False


def slow_stop_fails(s):
    with s.flag("slow-stop"):
        n = s.log().count("shutdown took longer")
        old = s.reload()
        failed = s.comes(lambda: s.log().count("shutdown took longer") > n)
    s.settle(old)
    return failed


def debugs(s):
    n = s.log().count("\nDEBUG: ")
    s.d.signal(signal.SIGTTIN)
    poll(lambda: workers(s) == 2 and all(map(accepts, children(s.d.pid))),
         "two workers", LIMIT)
    s.d.signal(signal.SIGTTOU)
    poll(lambda: workers(s) == 1, "one worker", LIMIT)
    return s.log().count("\nDEBUG: ") > n


def reopened(s):
    """The file that the log line is in."""
    files = [s.tmp / "error1", s.tmp / "error2"]

    def where():
        return [f.name for f, n in zip(files, before) if f.exists() and
                f.read_text().count("reopened") > n]
    before = [f.exists() and f.read_text().count("reopened") for f in files]
    s.d.signal(signal.SIGUSR1)
    return poll(where, "reopened", LIMIT)


def accessed(s):
    files = [s.tmp / "access1", s.tmp / "access2"]
    before = [f.exists() and f.stat().st_size for f in files]
    s.ask()
    return poll(lambda: [f.name for f, n in zip(files, before)
                         if f.exists() and f.stat().st_size > n],
                "a line", LIMIT)


def line(s):
    path = s.tmp / "access"
    n = path.stat().st_size
    s.ask()
    poll(lambda: path.stat().st_size > n, "a line", LIMIT)
    return "- - [" in path.read_text()[n:]


def pid_files(s):
    return [n for n in ("pid1", "pid2") if (s.tmp / n).exists()]


HALF_HEAD = b"GET /facts HTTP/1.1\r\nHo"
HALF_BODY = b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx"
LONG = [("X-Long", "x" * 2000)]


def case(old, new, probe, seen_old, seen_new, **more):
    return old, new, probe, seen_old, seen_new, more


# texts of the old and the new value, a probe, and what it finds with each;
# then other options
CASES = {
    "app": case('"facts:app"', '"facts:two"', fact("module"), "facts", "two"),
    "app_dir": case('"{apps}"', '"{tmp}/copy"', fact("app_dir"), "{apps}",
                    "{tmp}/copy"),
    "factory": case("false", "true", factory_is_guessed, True, False,
                    app='"facts:make"'),
    "interface": case('"asgi3"', '"asgi2"', fact("asgi"), "3.0", "2.0",
                      app='"facts:either"'),
    "lifespan": case('"on"', '"off"', fact("lifespan"), True, False),
    "application.send_after_disconnect": case(
        '"raise"', '"ignore"', fact("spec"), "2.5", "2.3"),
    "root_path": case('""', '"/api"', fact("root_path"), "", "/api"),
    "server_header": case('"one"', '"two"', header("server"), "one", "two"),
    "python.venv": case('""', '"{tmp}/venv"', fact("prefix"),
                        sys.base_prefix, "{tmp}/venv"),
    "workers.count": case("2", "3", workers, 2, 3),
    "workers.max_requests": case("0", "2", recycled, False, True),
    "workers.max_requests_jitter": case(
        "1000000000", "0", recycled, False, True,
        **{"workers.max_requests": "2"}),
    "limits.connections": case("1", "9", several_at_once, False, True),
    "limits.concurrency": case("0", "1", busy_with_one, 200, 503),
    "limits.header_size": case('"1K"', '"4K"', status(headers=LONG), 431,
                               200),
    "limits.body_size": case('"10"', '"1K"', status(
        "/body", method="POST", body=b"x" * 99), 413, 200),
    "timeouts.header": case('"%s"' % SOON, '"%s"' % NEVER, ends(HALF_HEAD),
                            True, False),
    "timeouts.body": case('"%s"' % SOON, '"%s"' % NEVER, ends(HALF_BODY),
                          True, False),
    "timeouts.keep_alive": case('"%s"' % SOON, '"%s"' % NEVER, idle_ends,
                                True, False),
    "timeouts.write": case('"%s"' % SOON, '"%s"' % NEVER, unread_is_cut,
                           True, False),
    "timeouts.graceful": case('"%s"' % SOON, '"%s"' % NEVER,
                              held_is_cancelled, True, False),
    "timeouts.startup": case('"%s"' % NEVER, '"%ds"' % (3 * SCALE),
                             slow_start_fails, False, True),
    "timeouts.shutdown": case('"%s"' % SOON, '"%s"' % NEVER, slow_stop_fails,
                              True, False),
    "log.level": case('"info"', '"debug"', debugs, False, True),
    "log.error": case('"{tmp}/error1"', '"{tmp}/error2"', reopened,
                      ["error1"], ["error2"]),
    "log.access": case('"{tmp}/access1"', '"{tmp}/access2"', accessed,
                       ["access1"], ["access2"]),
    "log.format": case('"uvicorn"', '"common"', line, False, True,
                       **{"log.access": '"{tmp}/access"'}),
    "user": case('"{user1}"', '"{user2}"', fact("uid"), "{uid1}", "{uid2}"),
    "group": case('"{group1}"', '"{group2}"', fact("gid"), "{gid1}",
                  "{gid2}", user='"{user1}"'),
    "security.no_new_privileges": case("true", "false", fact("confined"),
                                       True, False),
    "umask": case('"0027"', '"0077"', fact("umask"), 0o27, 0o77),
    "pid_file": case('"{tmp}/pid1"', '"{tmp}/pid2"', pid_files, ["pid1"],
                     ["pid1"]),
}
# an old worker or a failed generation says so
ERRORS = {"timeouts.graceful", "timeouts.startup", "timeouts.shutdown",
          "timeouts.write"}


def test_every_option_has_a_case():
    assert len(CLASSES) == len(re.findall("^OPTION", TABLE.read_text(), re.M))
    assert set(CASES) | ELSEWHERE == set(CLASSES)
    assert not set(CASES) & ELSEWHERE


@pytest.fixture
def place():
    """A folder that other users reach, pytest's is not."""
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="asgid-"))
    tmp.chmod(0o777)
    yield tmp
    shutil.rmtree(tmp)


def accounts():
    """Two users and groups for workers, if we may have such."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    try:
        users = [pwd.getpwnam(n) for n in ("nobody", "daemon")]
        groups = [grp.getgrnam(n) for n in ("daemon", "bin")]
    except KeyError as e:
        pytest.skip(str(e))
    for p in (program(), str(APPS)):
        if subprocess.run(["test", "-x", p], user="nobody",
                          check=False).returncode != 0:
            pytest.skip("the tree is not readable for nobody")
    return {"user1": users[0].pw_name, "uid1": users[0].pw_uid,
            "user2": users[1].pw_name, "uid2": users[1].pw_uid,
            "group1": groups[0].gr_name, "gid1": groups[0].gr_gid,
            "group2": groups[1].gr_name, "gid2": groups[1].gr_gid}


@pytest.mark.parametrize("key", sorted(CASES))
def test_option(asgid, place, key):
    old, new, probe, seen_old, seen_new, more = CASES[key]
    known = {"tmp": place, "apps": APPS}
    if key in ("user", "group"):
        known.update(accounts())
    if key == "python.venv":
        venv.create(place / "venv")
    if key == "app_dir":
        shutil.copytree(APPS, place / "copy")

    def fill(value):
        return str(value).format(**known)

    s = Site(asgid, place, {k: fill(v) for k, v in more.items()} |
             {key: fill(old)})
    if key in ERRORS:
        s.d.allow("")
    s.expects_it = seen_old is True
    assert fill(probe(s)) == fill(seen_old)
    s.options[key] = fill(new)
    restart = CLASSES[key] == "RESTART"
    before = children(s.d.pid)
    s.reload()
    assert bool(re.search("%s: the change needs a restart" % re.escape(key),
                          s.log())) == restart
    assert bool(re.search(r"Changed: %s\n" % re.escape(key), s.log())) != \
        restart
    s.settle(before)
    s.expects_it = seen_new is True
    assert fill(probe(s)) == fill(seen_new)
    s.d.baseline = {}
