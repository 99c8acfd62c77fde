# SPDX-License-Identifier: BSD-3-Clause
"""The control socket: what it answers, to whom, and that nobody who talks to
it can do harm."""
import contextlib
import grp
import json
import os
import pathlib
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

import pytest

import harness
from harness import SCALE, application, get, poll
from procfs import cpu, descriptors
from test_reload import version
from test_reload_options import CLASSES

LIMIT = 60 * SCALE
HANGS = application('b"%d" % os.getpid()', '''
    if scope["path"] == "/hang":
        time.sleep(60)
    if scope["path"] == "/crash":
        os.kill(os.getpid(), 6)
    if scope["path"] == "/exit":
        os._exit(9)
''', "import os, time\n")


class Control:
    """A connection to the control socket."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        # in this order: one that must not wait fails when the queue is full
        self.s.connect(str(path))
        self.s.settimeout(LIMIT)
        self.f = self.s.makefile("rb")

    def send(self, data):
        self.s.sendall(data.encode() if isinstance(data, str) else data)

    def answer(self):
        head = self.f.readline()
        assert head, "closed without an answer"
        code, length = head.decode().split()
        text = self.f.read(int(length))
        assert len(text) == int(length)
        return int(code), text.decode()

    def ask(self, line):
        self.send(line + "\n")
        return self.answer()

    def closed(self):
        with contextlib.suppress(ConnectionResetError):
            return self.f.read() == b""
        return True

    def close(self):
        self.f.close()
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Site:
    def __init__(self, asgid, tmp, code=None, workers=2, extra="",
                 folder=None):
        self.app = tmp / "app.py"
        self.socket = (folder or tmp) / "control.sock"
        self.path = tmp / "asgid0.conf"
        self.app.write_text(code or version(0))
        self.tmp, self.extra = tmp, extra
        self.d = asgid(conf=self.text(workers))
        self.ask("wait ready")
        self.d.baseline = {}

    def text(self, workers=2, more=""):
        return ('app = "app:app"; app_dir = "%s";\n'
                'listen = ({ address = "127.0.0.1:0"; });\n'
                'workers = { count = %d; };\n'
                'log = { access = "off"; };\n'
                'control = { socket = "%s"; %s };\n%s\n'
                % (self.tmp, workers, self.socket, self.extra, more))

    def connect(self):
        return Control(self.socket)

    def ask(self, line):
        with self.connect() as c:
            return c.ask(line)

    def done(self, line):
        code, text = self.ask(line)
        assert code == 200, (code, text)
        return text

    def json(self, line):
        return json.loads(self.done(line + " --json"))

    def pids(self):
        return sorted(w["pid"] for w in self.json("workers")
                      if "pid" in w)

    def gauge(self, family, **labels):
        for line in self.done("stats --openmetrics").splitlines():
            name, _, rest = line.partition("{")
            if name == family and all('%s="%s"' % kv in rest
                                      for kv in labels.items()):
                return float(line.rpartition(" ")[2])
            if not labels and line.startswith(family + " "):
                return float(line.rpartition(" ")[2])
        raise AssertionError("no %s %r" % (family, labels))


@pytest.fixture
def site(asgid, tmp_path):
    return Site(asgid, tmp_path)


@pytest.fixture
def rough(asgid, tmp_path):
    """An application that can hang, crash and exit."""
    site = Site(asgid, tmp_path, HANGS)
    site.d.allow(".*")
    return site


# ---- what is answered --------------------------------------------------

def test_words(site):
    assert site.ask("ping") == (200, "pong\n")
    code, text = site.ask("version")
    assert code == 200 and text.startswith("asgid ")
    assert site.json("version")["version"] in text
    assert "restart-worker ID" in site.done("help")
    assert site.done("help stop").startswith("stop [--now]\n")
    assert site.ask("help nonsense")[0] == 400
    assert site.ask("nonsense") == (
        400, "nonsense: no such command, try help\n")
    assert site.ask("") == (400, "a command is missing, try help\n")
    assert site.ask("scale many")[0] == 400
    assert site.ask("scale 0") == (400, "expected 1 to 1024 workers\n")
    assert site.ask("wait ready soon")[0] == 400
    assert site.ask("restart-worker 77") == (404, "no worker 77\n")
    # names may be cut
    assert site.ask("pi") == (200, "pong\n")


def test_lines_one_after_the_other(site):
    with site.connect() as c:
        c.send("ping\nversion\r\npi")
        assert c.answer() == (200, "pong\n")
        assert c.answer()[1].startswith("asgid ")
        c.send("ng\n")
        assert c.answer() == (200, "pong\n")


def test_nc(site):
    """The sending side is shut at once, as by `echo ping | nc -U`."""
    with site.connect() as c:
        c.send("wait ready\nping\n")
        c.s.shutdown(socket.SHUT_WR)
        assert c.f.read() == b"200 0\n200 5\npong\n"


def test_status_and_workers(site):
    st = site.json("status")
    assert st["state"] == "serving" and st["pid"] == site.d.pid
    assert st["workers_serving"] == st["workers_wanted"] == 2
    assert st["application"] == "app:app" and st["generation"] == 1
    assert st["listening"] == ["http://127.0.0.1:%d" % site.d.port]
    text = site.done("status")
    assert "2 of 2 serve" in text and str(site.path) in text
    ws = site.json("workers")
    assert sorted(w["pid"] for w in ws) == site.d.workers()
    assert sorted(w["id"] for w in ws) == [1, 2]
    for w in ws:
        assert w["state"] == "serving" and w["resident_bytes"] > 1e6
        assert str(w["pid"]) in site.done("workers")
    assert "\033[" not in site.done("workers")
    assert "\033[32mserving" in site.done("workers --color")


def test_stats_in_each_dialect(site):
    site.d.get()
    assert site.json("stats")["uptime_seconds"] > 0
    assert site.done("stats --openmetrics").endswith("# EOF\n")
    text = site.done("stats --prometheus")
    assert "# TYPE asgid_requests_total counter\n" in text
    assert "\nasgid_requests_total 1\n" in text and "# EOF" not in text
    assert re.search(r"(?m)^requests +1 ", site.done("stats"))


def test_config_loads_again(site, tmp_path):
    path = tmp_path / "again.conf"
    path.write_text(site.done("config"))
    status, out, err = harness.run("-t", "-c", path)
    assert status == 0, err


# ---- reload ------------------------------------------------------------

def test_reload(site):
    old = site.pids()
    site.app.write_text(version(1))
    text = site.done("reload")
    assert text == "2 worker(s) of generation 2 serve\n"
    assert site.d.get().text == "version 1"
    site.done("wait drained")
    assert not set(old) & set(site.pids())
    st = site.json("status")
    assert st["last_reload"]["result"] == "done"
    assert "uid %d" % os.getuid() in st["last_reload"]["by"]
    site.d.wait_log(r"control: reload \(uid %d, pid %d\)" %
                    (os.getuid(), os.getpid()))


RESTART = {
    "pid_file": '"{tmp}/pid"', "control.socket": '"{tmp}/other"',
    "control.mode": '"0600"', "control.group": '"adm"',
    "metrics.listen": '"127.0.0.1:0"', "reload.watch": "true",
    "reload.dirs": '[ "{tmp}" ]', "reload.include": '[ "*.txt" ]',
    "reload.exclude": '[ "x" ]', "reload.delay": '"1s"'}


def test_reload_names_what_needs_a_restart(site):
    assert set(RESTART) == {k for k, c in CLASSES.items() if c == "RESTART"}
    groups = {}
    for key, value in RESTART.items():
        group, _, name = key.rpartition(".")
        groups.setdefault(group, []).append(
            "%s = %s;" % (name, value.format(tmp=site.tmp)))
    more = "\n".join("%s = { %s };" % (g, " ".join(v)) if g else v[0]
                     for g, v in groups.items() if g != "control")
    site.path.write_text(re.sub(r"(?m)^control = .*$", "control = { %s };" %
                                " ".join(groups["control"]),
                                site.text(more=more)))
    site.d.expect(*(re.escape(k) + ": the change needs a restart"
                    for k in RESTART))
    text = site.done("reload")
    for key in RESTART:
        assert key + ": the change needs a restart" in text
    # and nothing of it has come
    assert stat.S_IMODE(site.socket.stat().st_mode) == 0o660
    assert not (site.tmp / "other").exists()
    assert not (site.tmp / "pid").exists()
    assert "metrics" not in site.json("status")
    assert "Will watch" not in site.d.stderr


@pytest.mark.parametrize("code, why", [
    ("app = (\n", "SyntaxError"),
    ("raise ValueError('of the module')\n", "ValueError: of the module"),
    ("async def app(scope, receive, send):\n    await receive()\n"
     "    await send({'type': 'lifespan.startup.failed',\n"
     "                'message': 'no database'})\n", "no database"),
    ("async def app(scope, receive, send):\n"
     "    if scope['type'] == 'lifespan':\n"
     "        await receive()\n"
     "        await send({'type': 'lifespan.startup.failed'})\n"
     "        raise ValueError('of the lifespan')\n", "startup failed")])
def test_reload_to_a_broken_application(site, code, why):
    site.d.allow(".*")
    old = site.pids()
    site.app.write_text(code)
    result, text = site.ask("reload")
    assert result == 500
    assert why in text and "the old workers serve on" in text
    poll(lambda: site.pids() == old, "only the old ones", LIMIT)
    assert site.d.get().text == "version 0"
    assert "failed" in site.done("status")


def test_reload_of_a_broken_file(site):
    old = site.pids()
    site.d.expect("asgid0.conf:6: workerz", "asgid0.conf:7: limits",
                  "nothing was changed")
    site.path.write_text(site.text(more='workerz = 1;\n'
                                   'limits = { body_size = "x"; };'))
    code, text = site.ask("reload")
    assert code == 422
    assert "asgid0.conf:6: workerz: unknown option" in text
    assert "asgid0.conf:7: limits.body_size" in text
    assert site.ask("check")[0] == 422
    assert "asgid0.conf:7" in site.ask("check")[1]
    assert site.pids() == old and site.d.get().text == "version 0"


def test_check(site):
    assert site.done("check") == "the configuration is valid\n"
    assert site.done("check --diff") == "nothing differs\n"
    site.path.write_text(site.text(3, 'pid_file = "/x";').replace(
        "127.0.0.1:0", "127.0.0.1:1"))
    assert site.done("check --diff") == (
        'workers.count: 2 -> 3 (with new workers)\n'
        'pid_file: "" -> "/x" (only by a restart)\n'
        'listen: ( { address = "127.0.0.1:0"; backlog = 2048; } ) -> '
        '( { address = "127.0.0.1:1"; backlog = 2048; } ) '
        '(with new workers)\n')
    assert len(site.pids()) == 2


SLOW = '''
import asyncio, pathlib
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        while not pathlib.Path(%r).exists():
            await asyncio.sleep(0.01)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
'''


def test_one_reload_at_a_time(site, tmp_path):
    site.d.expect("Reload by uid .* refused: a reload is running")
    site.app.write_text(SLOW % str(tmp_path / "go"))
    with site.connect() as c:
        c.send("reload --progress\n")
        code, text = c.answer()
        assert code == 102 and "2 of 2 new worker(s)" in text
        assert text.endswith("s\n")
        # what is said about the answer is no part of the command
        site.d.wait_log(r"control: reload \(uid")
        assert site.json("status")["state"] == "reloading"
        code, text = site.ask("reload")
        assert code == 409 and "a reload is running (uid %d, pid %d)" % (
            os.getuid(), os.getpid()) in text
        assert site.ask("scale 3")[0] == 409
        assert site.ask("restart-worker 1")[0] == 409
        assert site.ask("wait ready 20ms") == (408, "timed out\n")
        (tmp_path / "go").touch()
        while code != 200:
            code, text = c.answer()
            assert code in (102, 200)
    assert site.json("status")["generation"] == 2


def test_the_asker_leaves(site, tmp_path):
    site.app.write_text(SLOW % str(tmp_path / "go"))
    before = len(descriptors(site.d.pid))
    for _ in range(3):
        with site.connect() as c:
            c.send("wait drained\nreload\n")
            if _ > 0:
                site.d.allow("Reload by .* refused")
    poll(lambda: site.json("status")["state"] == "reloading", "reload")
    (tmp_path / "go").touch()
    site.done("wait ready")
    assert site.json("status")["generation"] == 2
    site.done("wait drained")
    poll(lambda: len(descriptors(site.d.pid)) <= before,
         lambda: "descriptors: %r" % descriptors(site.d.pid))


# ---- workers -----------------------------------------------------------

def test_scale(site):
    old = site.pids()
    site.done("scale 4")
    assert len(site.pids()) == 4 and set(old) < set(site.pids())
    assert site.json("status")["workers_serving"] == 4
    site.done("scale 1")
    site.done("wait drained")
    assert len(site.pids()) == 1
    assert site.d.get().text == "version 0"
    # the file's number comes back with the next reload
    site.done("reload")
    assert site.json("status")["workers_serving"] == 2


def test_scale_with_a_broken_application(site):
    site.d.allow(".*")
    site.app.write_text("app = (\n")
    code, text = site.ask("scale 3")
    assert code == 500 and "SyntaxError" in text
    site.done("scale 2")
    site.done("wait drained")
    assert len(site.json("workers")) == 2


def test_scale_up_down_and_up(site, tmp_path):
    """The end of a worker that was told to go before it served is no failure
    of those that are waited for, nor of anything."""
    ready = tmp_path / "ready"
    site.app.write_text(SLOW % str(ready))
    old = site.pids()
    with site.connect() as first, site.connect() as then:
        first.send("scale 3\n")
        poll(lambda: len(site.pids()) == 3, "a third worker")
        gone = (set(site.pids()) - set(old)).pop()
        then.send("scale 2\nscale 4\n")
        assert first.answer() == (409, "meanwhile 2 worker(s) were asked "
                                  "for\n")
        assert then.answer() == (200, "")
        poll(lambda: gone not in site.pids(), "its end")
        ready.touch()
        assert then.answer() == (200, "")
    assert len(site.pids()) == 4
    assert site.gauge("asgid_worker_exits_total", cause="scaled") == 1


def test_restart_worker(site):
    old = site.pids()
    first = next(w for w in site.json("workers") if w["id"] == 1)["pid"]
    site.done("restart-worker 1")
    site.done("wait drained")
    now = site.pids()
    assert first not in now and len(set(now) & set(old)) == 1
    assert site.gauge("asgid_worker_exits_total", cause="asked") == 1


def test_restart_shows_what_it_waits_for(site, tmp_path):
    first = next(w for w in site.json("workers") if w["id"] == 1)["pid"]
    site.app.write_text(SLOW % str(tmp_path / "go"))
    with site.connect() as c:
        c.send("restart-worker 1 --progress\n")
        code, text = c.answer()
        assert code == 102
        assert "successor of worker process [%d] to start" % first in text
        (tmp_path / "go").touch()
        while code == 102:
            code, _ = c.answer()
        assert code == 200
    site.done("wait drained")


def worker_of(site, pid):
    return next((w for w in site.json("workers") if w.get("pid") == pid),
                None)


def test_stopped_worker(rough):
    pid = rough.pids()[0]
    os.kill(pid, signal.SIGSTOP)
    poll(lambda: worker_of(rough, pid)["stopped_seconds"] > 0, "stopped")
    assert "stopped" in rough.done("workers")
    assert rough.gauge("asgid_worker_hangs_total") == 1
    assert rough.done("stats")
    os.kill(pid, signal.SIGCONT)
    poll(lambda: worker_of(rough, pid)["stopped_seconds"] == 0, "running")


def test_hanging_workers(rough):
    """Nothing that is asked needs a worker."""
    def hanging():
        return sum(w["in_flight"] > 0 for w in rough.json("workers"))

    # one that hangs accepts no more: the next goes to the other
    for n in (1, 2):
        rough.d.connect().send(get("/hang"))
        poll(lambda: hanging() == n, "hanging", LIMIT)
    took = []
    with rough.connect() as c:
        for _ in range(20):
            t = time.perf_counter()
            assert c.ask("stats")[0] == 200
            took.append(time.perf_counter() - t)
    # had it to wait for them, it would each time
    assert min(took) < 0.1 * SCALE
    poll(lambda: all(w["busy_seconds"] > 1 for w in rough.json("workers")),
         "busy", LIMIT)
    assert rough.done("workers").count("hangs") == 2
    # and it can be replaced
    code, text = rough.ask("restart-worker 1")
    assert code == 200
    rough.d.kill_all()
    rough.d.check_status = False


@pytest.mark.parametrize("how, cause, end", [
    (signal.SIGKILL, "killed", "killed by SIGKILL"),
    ("/crash", "crash", "killed by SIGABRT"),
    ("/exit", "exit", "exited with status 9")])
def test_deaths(rough, how, cause, end):
    before = rough.pids()
    if isinstance(how, str):
        rough.d.connect().send(get(how))
    else:
        os.kill(before[0], how)
    poll(lambda: rough.gauge("asgid_worker_exits_total", cause=cause) == 1,
         "counted", LIMIT)
    rough.done("wait ready")
    assert len(set(rough.pids()) & set(before)) == 1
    dead = [w for w in rough.json("workers") if w["unexpected_ends"]]
    assert [w["unexpected_ends"] for w in dead] == [1]
    assert end in dead[0]["last_end"] and end in rough.done("workers")


def test_hang_is_killed(asgid, tmp_path):
    # not what a busy machine takes for a turn of the loop
    limit = 1500 * SCALE
    site = Site(asgid, tmp_path, HANGS, 1)
    site.path.write_text(site.text(1, 'timeouts = { hang = "%dms"; };' %
                                   limit))
    site.done("reload")
    site.done("wait drained")
    site.d.expect("hangs for more than .* .timeouts.hang., killing it")
    pid, = site.pids()
    site.d.connect().send(get("/hang"))
    poll(lambda: site.gauge("asgid_worker_exits_total", cause="hang") == 1,
         "killed", LIMIT)
    site.done("wait ready")
    assert site.pids() != [pid]
    assert int(site.d.get().text) in site.pids()


# ---- stop --------------------------------------------------------------

def test_stop(site):
    with site.connect() as c:
        assert c.ask("stop") == (200, "")
        assert c.closed()
    assert site.d.wait() == 0
    assert not site.socket.exists()


SLEEPS = '''
import asyncio
async def app(scope, receive, send):
    if scope["type"] == "http":
        await asyncio.sleep(60)
'''


@pytest.fixture
def occupied(asgid, tmp_path):
    """One worker, with a request that takes its time."""
    site = Site(asgid, tmp_path, SLEEPS, 1)
    site.d.allow("cancelling", "Task was", ".*")
    with site.d.connect() as c:
        c.send(get())
        poll(lambda: site.json("workers")[0]["in_flight"] == 1, "in flight")
        yield site


def test_stop_waits_and_now_does_not(occupied):
    site = occupied
    with site.connect() as one, site.connect() as ready:
        ready.send("wait drained\nping\n")
        one.send("stop --progress\n")
        code, text = one.answer()
        assert code == 102 and "1 worker(s) with 1 request(s)" in text
        assert site.json("status")["state"] == "stopping"
        assert site.ask("reload")[0] == 409
        assert site.ask("wait ready")[0] == 503
        site.done("stop --now")
        while code == 102:
            code, text = one.answer()
        assert code == 200
    assert site.d.wait() == 0


@pytest.mark.parametrize("code", [
    SLOW % "/nowhere/never", "import time\ntime.sleep(60)\n"])
def test_stop_during_a_reload(site, code):
    """Workers that never served are not waited for."""
    site.app.write_text(code)
    site.d.allow("does not exit, killing it")
    with site.connect() as asker, site.connect() as stopper:
        asker.send("reload\n")
        poll(lambda: len(site.pids()) == 4, "new workers")
        stopper.send("stop\n")
        assert asker.answer() == (503, "asgid is stopping\n")
        assert stopper.answer() == (200, "")
    assert site.d.wait() == 0


def test_stop_ends_a_reload(occupied):
    site = occupied
    site.app.write_text("import time\ntime.sleep(60)\n")
    with site.connect() as asker, site.connect() as stopper:
        asker.send("reload\n")
        poll(lambda: len(site.pids()) == 2, "a new worker")
        assert site.json("status")["last_reload"]["result"] == "running"
        stopper.send("stop\n")
        assert asker.answer() == (503, "asgid is stopping\n")
        last = site.json("status")["last_reload"]
        assert last["result"] == "failed" and "is stopping" in last["text"]
        site.done("stop --now")
        assert stopper.answer() == (200, "")
    assert site.d.wait() == 0


def test_left_socket_is_replaced(asgid, tmp_path):
    site = Site(asgid, tmp_path)
    site.d.kill_all()
    site.d.check_status = False
    assert site.socket.exists()
    site.d.allow(".*")
    again = asgid(conf=site.text())
    again.wait_log("control.socket unix:.*replacing a stale socket")
    assert site.ask("ping") == (200, "pong\n")
    # but not from under a daemon that lives
    d = asgid(conf=site.text(), serve=False)
    d.status = 1
    d.expect("control.socket unix:.*in use")
    assert d.wait() == 1
    assert site.ask("ping") == (200, "pong\n")


def test_reopen(asgid, tmp_path):
    log = tmp_path / "access.log"
    site = Site(asgid, tmp_path)
    site.path.write_text(site.text().replace('access = "off"',
                                             'access = "%s"' % log))
    site.done("reload")
    site.d.get("/one")
    log.rename(tmp_path / "moved")
    site.done("reopen")
    poll(lambda: site.d.get("/two") and log.exists() and
         "/two" in log.read_text(), "reopened")
    # another worker may have served that
    poll(lambda: "/one" in (tmp_path / "moved").read_text(), "flushed")


# ---- who may -----------------------------------------------------------

ASK = '''
import os, socket, sys
os.setgroups([int(g) for g in sys.argv[2].split()])
os.setgid(65534); os.setuid(65534)
for line in sys.argv[3:]:
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.sendall(line.encode() + b"\\n")
    print(s.makefile().readline().split()[0])
'''


@pytest.mark.skipif(os.getuid() != 0, reason="becomes somebody else")
@pytest.mark.parametrize("groups, codes", [
    ([], "403 403 403"), (["adm"], "200 403 200")])
def test_access(asgid, tmp_path, groups, codes):
    # pytest's own folders are closed to others
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        check_access(Site(asgid, tmp_path, folder=pathlib.Path(folder),
                          extra='group = "adm"; mode = "0666"; '
                          'grant = [ "ping", "scale" ];'), groups, codes)


def check_access(site, groups, codes):
    if not groups:
        site.d.expect("control: scale: not permitted .uid 65534")
    gids = [grp.getgrnam(g).gr_gid for g in groups]
    if groups:          # more than any fixed array has room for
        gids = [*range(20000, 21000), *gids]

    def ask(*lines):
        return subprocess.run([sys.executable, "-c", ASK, site.socket,
                               " ".join(map(str, gids)), *lines],
                              stdout=subprocess.PIPE, check=True,
                              text=True).stdout.split()

    assert ask("ping", "status", "scale 2") == codes.split()
    # a reload takes another list at once
    site.extra = 'group = "adm"; mode = "0666"; grant = [ "status" ];'
    site.path.write_text(site.text())
    site.done("reload")
    assert ask("ping", "status") == (["403", "200"] if groups else
                                     ["403", "403"])
    # not another group: the socket keeps its own
    site.extra = 'group = "bin"; mode = "0666"; grant = [ "status" ];'
    site.path.write_text(site.text())
    site.d.expect("control.group: the change needs a restart")
    site.done("reload")
    assert ask("status") == (["200"] if groups else ["403"])


# ---- rude ones ---------------------------------------------------------

def test_endless_line(site):
    with site.connect() as c:
        with contextlib.suppress(OSError):
            for _ in range(160):
                c.send(b"x" * 65536)
        assert c.answer() == (413, "the line is too long\n")
        assert c.closed()
    assert site.ask("ping") == (200, "pong\n")


def test_bytes(site):
    for data in (b"\0\n", b"\xff\xfe\n", b"ping\0\n", b"%s%n\n",
                 b"stop\0 --now\n", b"GET / HTTP/1.1\n"):
        with site.connect() as c:
            c.send(data)
            assert c.answer()[0] == 400, data


def test_many_connections(site):
    held = []
    before = len(descriptors(site.d.pid))
    for i in range(500):
        held.append(site.connect())
        if i % 2:
            held[-1].send("stat")
        assert len(descriptors(site.d.pid)) < before + 80
    assert site.ask("ping") == (200, "pong\n")
    assert held[0].closed()
    for c in held:
        c.close()
    poll(lambda: len(descriptors(site.d.pid)) <= before, "closed")


def test_no_descriptor_left(site):
    """It says so, once a minute, does not spin, and goes on afterwards."""
    pid = site.d.pid
    site.d.expect("control.socket: accept: Too many open files")
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    before = cpu(pid)
    with site.connect() as c:
        c.send("ping\n")
        site.d.wait_log("Too many open files")
        time.sleep(2.2)         # for more tries
        assert cpu(pid) - before < 0.1 * SCALE
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert c.answer() == (200, "pong\n")
    assert site.d.stderr.count("Too many open files") == 1


def test_slow_ones_lose_their_connection(site):
    before = len(descriptors(site.d.pid))
    half, silent, deaf = site.connect(), site.connect(), site.connect()
    half.send("stat")

    def flood():
        with contextlib.suppress(OSError):
            deaf.s.settimeout(0.1)
            for _ in range(4000):
                deaf.send("help\n" * 100)
    t = threading.Thread(target=flood)
    t.start()
    for _ in range(20):
        assert site.ask("ping") == (200, "pong\n")
    t.join()
    assert half.closed() and silent.closed()
    poll(lambda: len(descriptors(site.d.pid)) <= before, "closed", LIMIT)
    for c in (half, silent, deaf):
        c.close()
