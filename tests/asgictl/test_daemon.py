# SPDX-License-Identifier: BSD-3-Clause
"""asgictl and asgid: what an operator sees."""
import json
import os
import pathlib
import re
import signal
import socket
import sys
import tempfile
import threading

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "server"))

import harness  # noqa: E402
import tool     # noqa: E402
from tool import (CONFIG, DENIED, DONE, FAILED, NOT_RUNNING,  # noqa: E402
                  TIMEOUT, USAGE, Terminal, finish, screen)

APP = harness.application('b"ok"', '''
    while scope["path"] == "/wait" and not os.path.exists("go"):
        await asyncio.sleep(0.01)
''', "import asyncio, os\n")
MANUAL = HERE.parent.parent / "man" / "asgictl.8"


class Site:
    """asgid in a folder of its own, and asgictl for it."""

    def __init__(self, tmp):
        self.tmp, self.socket = tmp, tmp / "s"
        self.conf = tmp / "asgid0.conf"
        # bound here too, not listened at: nobody else gets this number
        self.port = socket.socket()
        self.port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port.bind(("0.0.0.0", 0))
        (tmp / "app.py").write_text(APP)
        self.write()
        self.daemon = None

    def write(self, more="", workers=2, control=""):
        self.conf.write_text(
            'app = "app:app"; app_dir = "%s";\n'
            'listen = ({ address = "127.0.0.1:%d"; });\n'
            'workers = { count = %d; };\n'
            'log = { access = "off"; };\n'
            'control = { socket = "%s"; %s };\n%s' %
            (self.tmp, self.port.getsockname()[1], workers, self.socket, control, more))

    def start(self, serve=True):
        self.daemon = harness.Daemon(self.tmp, conf=self.conf.read_text(),
                                     serve=serve)
        self.daemon.check_fds = False       # workers come and go
        if serve:
            assert self("wait", "ready").status == DONE
        return self.daemon

    def __call__(self, *words, **kw):
        return tool.asgictl("-s", self.socket, *words, **kw)

    def ok(self, *words, **kw):
        r = self(*words, **kw)
        assert (r.status, r.err) == (DONE, ""), r
        return r.out

    def begin(self, *words, **kw):
        return tool.start("-s", self.socket, *words, **kw)

    def terminal(self, *words, **kw):
        return Terminal("-s", self.socket, *words, **kw)

    def workers(self):
        return json.loads(self.ok("workers", "--json"))

    def ids(self):
        return [w["id"] for w in self.workers()]

    def slow_request(self):
        """One that lasts until file "go" is there; its connection."""
        c = self.daemon.connect()
        c.send(harness.get("/wait"))
        harness.poll(lambda: sum(w["in_flight"] for w in self.workers()) == 1,
                     "in flight")
        return c

    def go(self):
        (self.tmp / "go").write_text("")


@pytest.fixture
def site(tmp_path):
    s = Site(tmp_path)
    with s.port:
        yield s
        if s.daemon is not None:
            s.daemon.check_and_stop()


@pytest.fixture
def running(site):
    site.start()
    return site


# ---- looking -----------------------------------------------------------

def test_status(running):
    lines = running.ok("status").splitlines()
    assert re.fullmatch(r"asgid \d+\.\d+\S*, pid %d: serving" %
                        running.daemon.pid, lines[0])
    text = "\n".join(lines)
    assert re.search(r"^application +app:app$", text, re.M)
    assert re.search(r"^configuration +%s$" % running.conf, text, re.M)
    assert re.search(r"^listening +http://127\.0\.0\.1:%d$" %
                     running.daemon.port, text, re.M)
    assert re.search(r"^workers +2 of 2 serve, generation 1$", text, re.M)


def test_workers(running):
    head, *rows = running.ok("workers").splitlines()
    assert head.split()[:4] == ["ID", "PID", "GEN", "STATE"]
    assert [r.split()[:4] for r in rows] == [
        [str(w["id"]), str(w["pid"]), "1", "serving"]
        for w in running.workers()]
    assert sorted(w["pid"] for w in running.workers()) == \
        running.daemon.workers()


def test_a_place_without_a_worker(running):
    """When the next one comes, and why there is none."""
    running.daemon.allow(".*")
    (running.tmp / "app.py").write_text("app = (\n")
    os.kill(running.workers()[0]["pid"], signal.SIGKILL)

    def empty():
        """As JSON, and then as text, of some pause between two starts."""
        return [w for w in running.workers() if w["state"] == "waiting" and
                w["unexpected_ends"] > 1]

    def line():
        head, *rows = running.ok("workers").splitlines()
        return [row[head.index("UNEXP"):] for row in rows
                if re.match(r"  1 +- +1 next in \d+\.\ds ", row)]

    place, = harness.poll(empty, "a failed start")
    assert "pid" not in place
    assert place["generation"] == 1 and place["last_end"] == "startup"
    ends, = harness.poll(line, "its line")
    assert re.match(r"\d+, last: startup, ", ends)


def documented(section):
    """The fields that a paragraph of the manual's JSON part names."""
    text = MANUAL.read_text()
    part = text[text.index(".Ss JSON"):text.index(".Ss Access")]
    part = part[part.index("\n.Ic %s\n" % section):]
    part = part.partition("\n.Pp\n")[0]
    return {w for line in part.splitlines() if line.startswith(".Li")
            for w in re.findall(r"\w+", line[3:])}


def keys(value):
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if isinstance(value, dict):
        return set(value) | set().union(*map(keys, value.values()))
    return set()


def test_fields_are_documented(site):
    """After a reload and the end of a worker each field has a value."""
    site.write('metrics = { listen = "127.0.0.1:0"; };')
    site.start()
    running = site
    running.ok("reload")
    running.ok("wait", "drained")
    running.daemon.allow(".*")
    os.kill(running.workers()[0]["pid"], signal.SIGKILL)
    harness.poll(lambda: any("last_end" in w for w in running.workers()),
                 "the end is known")
    assert keys(json.loads(running.ok("status", "--json"))) == \
        documented("status")
    running.ok("wait", "ready")
    assert keys(running.workers()) == documented("workers")
    assert keys(json.loads(running.ok("version", "--json"))) == \
        documented("version")


def table():
    """The names of all fields, as the manual's table has them."""
    text = MANUAL.read_text()
    part = text[text.index('.\\" begin fields'):text.index('.\\" end fields')]
    return re.findall(r"^\.It Li (\w+)$", part, re.M)


def each_field(value, name=None):
    """(name, value) of all that stand in a document."""
    if isinstance(value, list):
        for v in value:
            yield from each_field(v)
    elif isinstance(value, dict):
        for k, v in value.items():
            yield k, v
            yield from each_field(v)


def test_one_vocabulary(running):
    """All that is no metric is in the table; units are in the names; one
    name has one type; and the two lists of workers are the same."""
    names = table()
    assert len(names) == len(set(names)) > 30
    running.ok("reload")
    running.ok("wait", "drained")
    told = {w: json.loads(running.ok(w, "--json"))
            for w in ("status", "workers", "stats", "version")}
    metrics = {k: told["stats"].pop(k) for k in set(told["stats"]) &
               set(re.findall(r"^# TYPE asgid_(\w+) ",
                              running.ok("stats", "--openmetrics"), re.M))}
    assert "requests" in metrics and "uptime_seconds" in metrics
    types = {}
    for name, value in each_field(list(told.values())):
        assert name in names, name
        kind = float if isinstance(value, (int, float)) else type(value)
        assert types.setdefault(name, kind) is kind, name
        if name.endswith(("_seconds", "_bytes")):
            assert kind is float, name
    for a, b in zip(told["stats"]["workers"], told["workers"]):
        assert set(a) == set(b) - {"stopped_seconds", "unexpected_ends",
                                   "last_end", "last_end_age_seconds"}
        for k in "id", "pid", "generation", "state", "requests", "in_flight":
            assert a[k] == b[k], k


def test_stats(running):
    """Text for people, JSON, and the metrics of the manual."""
    assert "requests" in running.ok("stats")
    fields = json.loads(running.ok("stats", "--json"))
    text = running.ok("stats", "--openmetrics")
    more = set(fields) - set(re.findall(r"^# TYPE asgid_(\w+) ", text, re.M))
    assert more == {"version", "recent", "workers"}
    assert more | keys(fields["recent"]) <= documented("stats")
    assert text.endswith("# EOF\n")
    helps = re.findall(r"^# HELP \w+ (.*)", text, re.M)
    assert helps and all(re.match("[A-Z].*[.]$", h) for h in helps), helps
    manual = MANUAL.read_text()
    for name in re.findall(r"^# TYPE (\w+) ", text, re.M):
        assert re.search(r"^\.It Li %s(_total)? Pq" % name, manual, re.M), \
            name


def test_small_ones(running):
    assert running.ok("ping") == "pong\n"
    assert re.match(r"asgid \d+\.\d+", running.ok("version"))
    assert json.loads(running.ok("version", "--json"))["version"] in \
        running.ok("version")
    assert 'app = "app:app";' in running.ok("config")
    assert running.ok("check") == "the configuration is valid\n"
    assert running.ok("-q", "status") == ""


def test_by_configuration_file(running):
    r = tool.asgictl("-c", running.conf, "ping")
    assert (r.status, r.out, r.err) == (DONE, "pong\n", "")


def test_colour_on_a_terminal_only(running):
    assert "\033" not in running.ok("workers")
    t = running.terminal("workers", columns=200)
    assert t.finish().status == DONE
    assert re.search("\033\\[[0-9;]*mserving *\033\\[0m", t.text)
    plain = re.sub("\033\\[[0-9;]*m", "", t.text)
    assert [line.split()[:4] for line in plain.splitlines()] == \
        [line.split()[:4] for line in running.ok("workers").splitlines()]
    t = running.terminal("workers", env={"NO_COLOR": "1"})
    t.finish()
    assert "\033" not in t.text


# ---- changing ----------------------------------------------------------

def test_reload(running):
    before = running.daemon.workers()
    assert running.ok("reload") == "2 worker(s) of generation 2 serve\n"
    running.ok("wait", "drained")
    assert not set(before) & set(running.daemon.workers())


def test_reload_of_a_broken_file(running):
    """All errors, each on a line of its own; nothing changes."""
    before = running.daemon.workers()
    running.write("bogus = 1;\nuser = 2;\n")
    running.daemon.expect("Reload failed", "bogus: unknown option",
                          "user: expected")
    for name in ("check", "reload"):
        r = running(name)
        assert (r.status, r.out) == (CONFIG, "")
        lines = r.err.splitlines()
        assert lines[0].startswith("asgictl: %s: %s:6: bogus: " %
                                   (name, running.conf))
        assert lines[1].startswith("%s:7: user: " % running.conf)
    assert running.daemon.workers() == before


def test_reload_of_a_broken_application(running):
    """The last line of the traceback is told; the old workers serve on."""
    before = running.daemon.workers()
    (running.tmp / "app.py").write_text("raise ValueError('no such thing')\n")
    running.daemon.allow(".*")
    r = running("reload")
    assert (r.status, r.out) == (FAILED, "")
    assert r.err.startswith("asgictl: reload: ")
    assert "ValueError: no such thing" in r.err
    assert "the old workers serve on" in r.err
    assert running.daemon.get().body == b"ok"
    assert set(before) <= set(running.daemon.workers())


def test_check_diff(running):
    assert running.ok("check", "--diff") == "nothing differs\n"
    running.write("limits = { concurrency = 5; };\n", workers=1)
    assert running.ok("check", "--diff") == (
        "workers.count: 2 -> 1 (with new workers)\n"
        "limits.concurrency: 0 -> 5 (with new workers)\n")


def test_scale(running):
    assert running.ok("scale", "3") == ""
    assert len(running.ids()) == 3
    assert running.ok("scale", "1") == ""
    assert running.ok("wait", "drained", "1h") == ""
    assert len(running.daemon.workers()) == 1
    r = running("scale", "0")
    assert r.status == USAGE and r.err.startswith("asgictl: scale: expected ")


def test_restart_worker(running):
    first, second = running.workers()
    running.ok("restart-worker", first["id"])
    pids = [w["pid"] for w in running.workers() if w["state"] == "serving"]
    assert second["pid"] in pids and first["pid"] not in pids
    assert len(pids) == 2
    r = running("restart-worker", "4000")
    assert (r.status, r.err) == (FAILED, "asgictl: restart-worker: no worker "
                                         "4000\n")


def test_reopen(running):
    running.ok("reopen")
    running.daemon.wait_log("Log files reopened")


# ---- waiting -----------------------------------------------------------

def test_wait_ready_from_before_the_start(site):
    p = site.begin("wait", "ready", "1h")
    site.start(serve=False)
    assert finish(p).status == DONE
    assert len(site.ids()) == 2
    site.daemon.wait_serving()


def test_wait_drained(running):
    """Until the last request of a former worker is over; it is shown."""
    c = running.slow_request()
    running.ok("reload")
    r = running("wait", "drained", "50ms")
    assert (r.status, r.err) == (TIMEOUT, "asgictl: wait: timed out\n")
    t = running.terminal("wait", "drained")
    t.read("1 request")
    running.go()
    assert t.finish().status == DONE
    assert screen(t.text) == ""
    assert c.response().body == b"ok"


def test_stop(running):
    """Back when the process is gone: not even a zombie holds its port."""
    running.daemon.conns.clear()
    assert running.ok("stop") == ""
    assert running.daemon.proc.poll() == 0
    with pytest.raises(ConnectionRefusedError), socket.socket() as s:
        s.connect(("127.0.0.1", running.daemon.port))
    r = running("stop")
    assert r.status == NOT_RUNNING
    assert r.err == "asgictl: %s: asgid is not running\n" % running.socket


def test_stop_waits_for_requests(running):
    c = running.slow_request()
    t = running.terminal("stop")
    t.read("1 request")
    assert running.daemon.proc.poll() is None
    running.go()
    assert t.finish().status == DONE
    assert running.daemon.proc.poll() == 0
    assert screen(t.text) == ""
    assert c.response().body == b"ok"


def test_stop_now(running):
    """While another one waits; both come back."""
    running.slow_request()
    running.daemon.allow(".*")
    first = running.begin("stop")
    running.daemon.wait_log("control: stop")
    assert running("stop", "--now").status == DONE
    assert finish(first).status == DONE
    running.daemon.check_status = False


def test_interrupted_reload_goes_on(running):
    """Who waits may leave."""
    (running.tmp / "app.py").write_text(
        "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n" +
        APP)
    p = running.begin("reload")
    running.daemon.wait_log("control: reload")
    p.send_signal(signal.SIGINT)
    assert finish(p).status == -signal.SIGINT
    running.daemon.expect("refused: a reload is running")
    r = running("reload")
    assert r.status == FAILED
    assert r.err.startswith("asgictl: reload: a reload is running (uid ")
    running.go()
    running.daemon.wait_log("Reloaded: 2 worker")
    running.ok("wait", "drained")


def test_a_stopped_master(running):
    """Stopped by a signal it answers nothing: five seconds, no longer."""
    os.kill(running.daemon.pid, signal.SIGSTOP)
    try:
        results = []
        threads = [threading.Thread(
            target=lambda w=w: results.append(running(*w)))
            for w in (["status"], ["wait", "ready", "100ms"])]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        os.kill(running.daemon.pid, signal.SIGCONT)
    assert sorted((r.status, r.err) for r in results) == [
        (TIMEOUT, "asgictl: status: asgid does not answer\n"),
        (TIMEOUT, "asgictl: wait: asgid does not answer\n")]


def test_a_daemon_that_is_killed(running):
    c = running.slow_request()
    running.ok("reload")
    p = running.begin("wait", "drained")
    harness.poll(lambda: len(running.workers()) == 3, "a former worker")
    running.daemon.allow(".*")
    running.daemon.kill_all()
    assert finish(p).status == DONE     # there is none, indeed
    running.daemon.check_status = False
    c.close()


# ---- access ------------------------------------------------------------

@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_others():
    """Who may connect may still not be allowed to do it."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        site = Site(pathlib.Path(folder))
        site.write(control='mode = "0666";')
        site.start()
        try:
            site.daemon.expect("control: stop: not permitted")
            for name in ("status", "stop"):
                r = site(name, user=65534, group=65534, extra_groups=[])
                assert (r.status, r.out) == (DENIED, "")
                assert r.err == ("asgictl: %s: not permitted to uid 65534\n"
                                 % name)
        finally:
            site.daemon.check_and_stop()
