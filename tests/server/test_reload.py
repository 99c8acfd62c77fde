# SPDX-License-Identifier: BSD-3-Clause
"""Reloads of the whole daemon: under load no request is lost, and what
cannot serve never replaces what does."""
import contextlib
import os
import signal
import socket
import threading

import pytest

from harness import SCALE, Connection, Late, application, get, own_port, poll
from procfs import accepts, children, descriptors

LIMIT = 60 * SCALE
# a long run is worth more, but takes its time
RELOADS = int(os.environ.get("ASGID_TEST_RELOADS", "10"))


def version(n):
    return application('b"version %d"' % n)


def address(port):
    return '{ address = "127.0.0.1:%d"; }' % port


class Site:
    """A daemon whose application and configuration can be rewritten."""

    def __init__(self, asgid, tmp):
        self.app, self.generation = tmp / "app.py", 1
        self.write(0)
        self.path = tmp / "asgid0.conf"
        self.listen, self.workers = [address(0)], 2
        self.tmp = tmp
        self.d = asgid(conf=self.text())

    def text(self):
        return ('app = "app:app"; app_dir = "%s"; listen = (%s);\n'
                'workers = { count = %d; }; log = { access = "off"; };\n'
                % (self.tmp, ", ".join(self.listen), self.workers))

    def write(self, n):
        self.app.write_text(version(n))

    def reload(self):
        self.path.write_text(self.text())
        self.generation += 1
        self.d.signal(signal.SIGHUP)
        self.d.wait_log(r"Reloaded: %d worker\(s\) of generation %d serve" %
                        (self.workers, self.generation), LIMIT)

    def settle(self, old):
        """The old workers are gone; the new ones are what is checked."""
        poll(lambda: not set(old) & set(children(self.d.pid)) and
             len(children(self.d.pid)) == self.workers,
             lambda: "old workers stay:\n" + self.d.stderr[-3000:], LIMIT)
        self.d.baseline = {}


@pytest.fixture
def site(asgid, tmp_path):
    return Site(asgid, tmp_path)


class Load:
    """Threads that ask without a pause; every request must be answered, but
    for those with which they were late themselves."""

    def __init__(self, where, keep_alive):
        self.where, self.keep_alive = where, keep_alive
        self.count, self.seen, self.failed = 0, set(), []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def answer(self, c):
        c.send(get())
        r = c.response()
        assert r.status == 200, r
        self.seen.add(r.text)
        self.count += 1
        return self.keep_alive and "close" not in r.tokens("connection")

    def run(self):
        c = None
        while not self.over.is_set():
            try:
                if c is None:
                    c = Connection(self.where, deadline=LIMIT)
                if not self.answer(c):
                    c.close()
                    c = None
            except Late:
                c.close()
                c = None
            except (OSError, AssertionError) as e:
                self.failed.append("%s %s: %s after %d" % (
                    "kept" if self.keep_alive else "new",
                    type(e).__name__, e, self.count))
                if c is not None:
                    c.close()
                c = None
        if c is not None:
            c.close()


@contextlib.contextmanager
def under_load(where, clients=4):
    """Half of them keep their connection. No request may fail."""
    loads = [Load(where, i % 2 == 0) for i in range(clients)]
    try:
        yield loads
    finally:
        for x in loads:
            x.over.set()
        for x in loads:
            x.thread.join()
    failed = [f for x in loads for f in x.failed]
    assert not failed, "%d of %d: %r" % (
        len(failed), sum(x.count for x in loads), failed[:10])


def test_no_request_is_lost(site):
    d = site.d
    before = len(descriptors(d.pid))
    with under_load((d.host, d.port), 6) as loads:
        for version in range(1, RELOADS + 1):
            old = d.workers()
            site.write(version)
            site.reload()
            text = "version %d" % version
            poll(lambda: d.get().text == text, "new code", LIMIT)
            site.settle(old)
            # each of the clients goes on
            poll(lambda: all(text in x.seen for x in loads), "requests",
                 LIMIT)
    poll(lambda: len(descriptors(d.pid)) == before,
         lambda: "descriptors: %r" % descriptors(d.pid))


def test_request_in_flight_is_finished(asgid):
    d = asgid("processes")
    old = d.worker
    c = d.connect()
    c.send(get("/until/told"))
    poll(lambda: "in" in d.get("/journal").text, "not begun")
    d.signal(signal.SIGHUP)
    d.wait_log("Reloaded: 1 worker", LIMIT)
    poll(lambda: not accepts(old), "draining")
    new = d.get("/pid").text
    assert new != str(old)
    (d.dir / "told").touch()
    r = c.response()
    assert r.body == b"until" and r.tokens("connection") == ["close"]
    poll(lambda: d.workers() == [int(new)], "old worker gone", LIMIT)
    d.baseline = {}


@pytest.mark.parametrize("code, why", [
    ("app = (\n", "SyntaxError|never closed|syntax"),
    ("import no_such_module\n", "no_such_module"),
    ("async def app(scope, receive, send):\n    await receive()\n"
     "    await send({'type': 'lifespan.startup.failed',\n"
     "                'message': 'no'})\n", "startup failed")])
def test_broken_application_keeps_the_old_one(site, code, why):
    d = site.d
    old = d.workers()
    d.allow(".*")
    site.app.write_text(code)
    d.signal(signal.SIGHUP)
    d.wait_log(r"Reload failed, the old workers serve on: [^\n]*(%s)" % why,
               LIMIT)
    poll(lambda: d.workers() == old, "only the old ones", LIMIT)
    assert d.get().text == "version 0"
    site.write(1)
    site.generation += 1
    site.reload()
    site.settle(old)
    assert d.get().text == "version 1"


def test_broken_configuration_keeps_everything(site):
    d = site.d
    old, good = d.workers(), site.path.read_text()
    d.expect("asgid0.conf:3: workerz", "asgid0.conf:4: ",
             "Reload failed, nothing was changed")
    site.path.write_text(good + 'workerz = 1;\nlimits = { body_size = "x"; };')
    d.signal(signal.SIGHUP)
    d.wait_log("Reload failed, nothing was changed")
    assert d.workers() == old and d.get().text == "version 0"


def test_listener_added_moved_and_removed(site):
    d = site.d
    first, old = (d.host, d.port), d.workers()
    two, three = own_port(), own_port()

    def ask(where):
        with Connection(where) as c:
            return c.request("GET", "/").text

    def gone(where):
        with socket.socket() as s:
            return s.connect_ex(where) != 0

    site.listen.append(address(two))
    site.reload()
    site.settle(old)
    assert ask(first) == ask(("127.0.0.1", two)) == "version 0"
    old = d.workers()
    site.listen[1] = address(three)
    site.reload()
    site.settle(old)
    assert ask(first) == ask(("127.0.0.1", three)) == "version 0"
    assert gone(("127.0.0.1", two))
    old = d.workers()
    del site.listen[1]
    site.reload()
    site.settle(old)
    assert ask(first) == "version 0" and gone(("127.0.0.1", three))


@pytest.mark.parametrize("narrow, wide", [
    ("127.0.0.1", "0.0.0.0"), ("[::1]", "[::]")])
def test_overlapping_addresses(site, narrow, wide):
    """Another address of the port takes over: nobody is lost."""
    d, port = site.d, own_port()
    entry = '{ address = "%s:%d"; }'
    site.listen = [entry % (narrow, port)]
    old = d.workers()
    site.reload()
    site.settle(old)
    with under_load((narrow.strip("[]"), port)) as loads:
        for host in (wide, narrow, wide):
            old = d.workers()
            site.listen = [entry % (host, port)]
            site.reload()
            site.settle(old)
            now = [x.count for x in loads]
            poll(lambda: all(x.count > n for x, n in zip(loads, now)),
                 "requests", LIMIT)
    # others are kept out, as ever
    for host in (narrow, wide):
        with socket.socket(socket.AF_INET6 if ":" in host else
                           socket.AF_INET) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                s.bind((host.strip("[]"), port))
                s.listen()


def test_number_of_workers(site):
    for n in (3, 1, 2):
        old = site.d.workers()
        site.workers = n
        site.reload()
        site.settle(old)
        assert site.d.get().text == "version 0"


def test_idle_connections_are_closed(site):
    d = site.d
    old = d.workers()
    c = d.connect()
    assert c.request("GET", "/").status == 200
    site.reload()
    assert c.closed()
    site.settle(old)


def test_scale(site):
    d = site.d
    d.signal(signal.SIGTTIN)
    poll(lambda: len(d.workers()) == 3, "three workers", LIMIT)
    d.signal(signal.SIGTTOU)
    d.wait_log(r"Now 2 worker\(s\)")
    poll(lambda: len(d.workers()) == 2, "two workers", LIMIT)
    assert d.get().text == "version 0"
    d.baseline = {}


def test_switched_link(asgid, tmp_path):
    """A deployment turns "current" to another release, and reloads."""
    for n in 1, 2:
        (tmp_path / ("release%d" % n)).mkdir()
        (tmp_path / ("release%d" % n) / "app.py").write_text(version(n))
    os.symlink("release1", tmp_path / "current")
    d = asgid(None, "app:app", "--app-dir", "current", "--host", "127.0.0.1",
              "--port", "0", "--no-access-log")
    assert d.get().text == "version 1"
    os.symlink("release2", tmp_path / "next")
    os.rename(tmp_path / "next", tmp_path / "current")
    d.signal(signal.SIGHUP)
    d.wait_log("Reloaded: 1 worker", LIMIT)
    assert d.get().text == "version 2"
    poll(lambda: len(d.workers()) == 1, "old workers", LIMIT)
    d.baseline = {}
