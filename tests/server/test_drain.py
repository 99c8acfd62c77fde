# SPDX-License-Identifier: BSD-3-Clause
"""What a drain owes its clients: nothing that had begun is lost, and what is
idle holds nobody up."""
import os
import pathlib
import pwd
import signal
import subprocess
import tempfile
import time

import pytest

from harness import (APPS, DEADLINE, SCALE, PROMPT, Connection, Late,
                     Truncated, frozen, get, own_port, poll, program)
from procfs import accepts, children, listeners

LIMIT = 20 * SCALE
MANY = 40


def conf(listen, workers=2, more=""):
    return ('app = "processes:app"; app_dir = "%s"; listen = (%s);\n'
            'workers = { count = %d; }; %s\n'
            'timeouts = { header = "10m"; keep_alive = "10m"; };\n' %
            (APPS, ", ".join(listen), workers, more))


def tcp(port=0, host="127.0.0.1"):
    return '{ address = "%s:%d"; }' % (host, port)


def crowd(d, where):
    cs = [d.connect(address=where, deadline=LIMIT) for _ in range(MANY)]
    for c in cs:
        c.send(get("/pid"))
    return cs


def all_answered(cs, pids):
    for c in cs:
        r = c.response()
        assert r.status == 200 and int(r.text) in pids
        assert r.tokens("connection") == ["close"]
        assert c.closed()


def start(asgid, *listen, workers=2, more="", **kw):
    d = asgid(conf=conf(listen, workers=workers, more=more), **kw)
    d.allow("was stopped by SIGSTOP")
    assert len(d.workers()) == workers
    return d


@pytest.fixture(params=["ourselves", "workers", "all"])
def who(request, asgid):
    """Keywords of start(): the same user as we; workers that are an ordinary
    one, or all of it, which needs no privilege either.  In a folder that it
    can reach, which pytest's are not."""
    if request.param == "ourselves":
        yield {}
        return
    if os.getuid() != 0:
        pytest.skip("we are an ordinary user")
    user = pwd.getpwnam("nobody").pw_uid
    if subprocess.run(["test", "-x", program(), "-a", "-x", APPS],
                      user=user, check=False).returncode != 0:
        pytest.skip("the tree is not readable for nobody")
    with tempfile.TemporaryDirectory(prefix="asgid-") as folder:
        asgid.directory = pathlib.Path(folder)
        os.chown(folder, user, -1)
        yield ({"more": 'user = "nobody";'} if request.param == "workers" else
               {"user": user})
        asgid.finish(getattr(request.node, "test_failed", False))


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("workers", [1, 2])
def test_stop_serves_what_is_queued(asgid, who, kind, workers):
    path = str(asgid.directory / "s")
    d = start(asgid, tcp() if kind == "tcp" else '{ unix = "%s"; }' % path,
              workers=workers, **who)
    pids = d.workers()
    with frozen(*pids):
        cs = crowd(d, (d.host, d.port) if kind == "tcp" else path)
        d.signal(signal.SIGTERM)
        poll(lambda: not listeners(d.pid), "the master has closed")
    all_answered(cs, pids)
    assert d.wait() == 0


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_reload_serves_the_queue_of_what_it_removes(asgid, who, kind):
    path = str(asgid.directory / "s")
    port = own_port()
    d = start(asgid, tcp(),
              tcp(port) if kind == "tcp" else '{ unix = "%s"; }' % path, **who)
    where = ("127.0.0.1", port) if kind == "tcp" else path
    pids = d.workers()
    (d.dir / "asgid0.conf").write_text(
        conf([tcp()], more=who.get("more", "")))
    with frozen(*pids):
        cs = crowd(d, where)
        kept = crowd(d, (d.host, d.port))
        d.signal(signal.SIGHUP)
        d.wait_log("Reloaded: 2 worker", LIMIT)
        # the new ones take what is queued at a listener that stays
        for c in kept:
            r = c.response()
            assert int(r.text) not in pids and not r.tokens("connection")
    all_answered(cs, pids)
    poll(lambda: not set(pids) & set(d.workers()), "old workers gone", LIMIT)
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        Connection(where)
    d.baseline = {}


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_that_are_told_by_nobody_serve_what_is_queued(
        asgid, who, workers):
    """.. but by a signal, while the master does not know."""
    d = start(asgid, tcp(), workers=workers, **who)
    pids = d.workers()
    with frozen(d.pid):
        with frozen(*pids):
            cs = crowd(d, (d.host, d.port))
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
        all_answered(cs, pids)
        poll(lambda: not children(d.pid), "workers gone")
        d.signal(signal.SIGTERM)
    assert d.wait() == 0


def test_stop_during_which_everybody_connects(asgid):
    """Each is either served or refused: nobody is reset."""
    for _ in range(3):
        d = start(asgid, tcp())
        served, stop = 0, False
        while True:
            try:
                c = d.connect(deadline=LIMIT)
            except (ConnectionRefusedError, TimeoutError):
                break
            try:
                assert c.request("GET", "/pid").status == 200
                served += 1
            except Late:
                pass
            c.close()
            if served > 20 and not stop:
                stop = True
                d.signal(signal.SIGTERM)
        assert d.wait() == 0


def test_head_that_has_begun(asgid):
    """.. is waited for, and answered."""
    d = start(asgid, tcp(), workers=1)
    c = d.connect()
    c.send(b"GET /pid HTTP/1.1\r\nHo")
    c.consumed()
    time.sleep(0.3)                     # busy, however long ago
    d.signal(signal.SIGTERM)
    d.wait_log("Received SIGTERM")
    poll(lambda: not listeners(d.worker), "draining")
    assert c.quiet(0.1)
    c.send(b"st: t\r\n\r\n")
    r = c.response()
    assert r.status == 200 and r.tokens("connection") == ["close"]
    assert d.wait() == 0


def nap(d):
    """A request that holds the loop, once it is sent a byte, until there is
    a file."""
    c = d.connect()
    c.send(b"POST /nap/wake HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n")
    c.consumed()
    return c


def ends_well(d, c, napper):
    (d.dir / "wake").touch()
    r = c.response()
    assert r.status == 200 and r.tokens("connection") == ["close"]
    assert napper.response().body == b"rested"
    assert d.wait() == 0


def test_request_behind_a_busy_loop(asgid):
    """The loop is held when the drain begins, and there is a request on an
    idle connection by then."""
    d = start(asgid, tcp(), workers=1)
    napper, c = nap(d), d.connect()
    assert c.request("GET", "/pid").status == 200
    napper.send(b"x")
    d.wait_access("napping")
    c.send(get("/pid"))
    d.signal(signal.SIGTERM)
    poll(lambda: not listeners(d.pid), "the master has closed")
    time.sleep(0.3)                     # idle for long enough
    ends_well(d, c, napper)


def test_request_behind_a_busy_loop_in_a_drain(asgid):
    """.. or when the time ends that a drain leaves to such a connection."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        d = start(asgid, tcp(), workers=1)
        napper, c = nap(d), d.connect()
        used = time.monotonic()
        assert c.request("GET", "/pid").status == 200
        d.signal(signal.SIGTERM)
        poll(lambda: not listeners(d.worker), "draining")
        napper.send(b"x")
        d.wait_access("napping")
        if time.monotonic() - used < PROMPT:
            c.send(get("/pid"))
            time.sleep(0.3)
            ends_well(d, c, napper)
            return
        # that time was over before: once more, if we may be quicker
        (d.dir / "wake").touch()
        c.close()
        assert napper.response().body == b"rested"
        assert d.wait() == 0
        (d.dir / "wake").unlink()


CANCELLED = (r"timeouts\.graceful exceeded", "Cancel|cancel")


def told(d):
    return [line for line in d.access if '"' not in line]


@pytest.mark.parametrize("path", ["/waits", "/sleeps"])
def test_stream_ends_at_the_deadline(asgid, path):
    """It is told nothing before, for it may well end in time."""
    d = asgid("drains", "-o", "timeouts.graceful=400ms")
    d.allow(*CANCELLED)
    c = d.connect()
    c.send(get(path))
    c.until(lambda b: b"data" in b)
    begin = time.monotonic()
    d.signal(signal.SIGTERM)
    with pytest.raises(Truncated):
        c.response()
    assert time.monotonic() - begin >= 0.39
    assert d.wait() == 0
    assert told(d) == ["begun", "cancelled", "lifespan.shutdown"]


def test_stream_that_its_client_ends(asgid):
    d = asgid("drains")
    c = d.connect()
    c.send(get("/waits"))
    c.until(lambda b: b"data" in b)
    d.signal(signal.SIGTERM)
    poll(lambda: not listeners(d.worker), "draining")
    c.close()
    assert d.wait() == 0
    assert told(d) == ["begun", "http.disconnect", "lifespan.shutdown"]


@pytest.mark.parametrize("how", ["deadline", "twice", "quit"])
def test_lifespan_shutdown_always_comes(asgid, how):
    """.. even when a request ignores its cancellation."""
    graceful = "200ms" if how == "deadline" else "30s"
    d = asgid("drains", "-o", "timeouts.graceful=" + graceful)
    d.allow("")
    c = d.connect()
    c.send(get("/stubborn"))
    d.wait_access("begun")
    if how == "quit":
        d.signal(signal.SIGQUIT)
    else:
        d.signal(signal.SIGTERM)
    if how == "twice":
        d.wait_log("Received SIGTERM, shutting down")
        d.signal(signal.SIGTERM)
    assert d.wait() == 0
    assert told(d)[:3] == ["begun", "cancelled", "lifespan.shutdown"]


def test_idle_stop_is_quick(asgid):
    """With idle connections, too; tests/bench/stop.py has the figures. One
    that always waits for something is never quick."""
    def stop():
        d = asgid("drains")
        cs = [d.connect() for _ in range(5)]
        for c in cs:
            assert c.request("GET", "/hello").text == "hello"
        time.sleep(0.3)
        begin = time.monotonic()
        d.signal(signal.SIGTERM)
        d.wait_access("lifespan.shutdown")
        took = time.monotonic() - begin
        for c in cs:
            assert c.closed()
        assert d.wait() == 0
        return took < 0.2 * SCALE
    poll(stop, "never quick", 2 * DEADLINE)


@pytest.mark.parametrize("path", ["/events", "/events/wait"])
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP])
def test_event_streams_are_told(asgid, path, by):
    """They have no end: a drain ends them in order, long before its own."""
    d = asgid("processes", "-o", "timeouts.graceful=10m")
    old = d.workers()
    c = d.connect()
    c.send(get(path))
    r = c.head()
    assert r.get("transfer-encoding") == "chunked"
    assert c.chunk().startswith(b"data: 0\n\n")
    d.signal(by)
    while c.chunk():
        pass
    d.wait_access("events ended")
    poll(lambda: not set(old) & set(d.workers()), "the old worker's end")
    if by == signal.SIGTERM:
        assert d.wait() == 0
    d.baseline = {}


def test_an_event_stream_that_begins_in_a_drain(asgid):
    d = asgid("processes", "-o", "timeouts.graceful=10m")
    c = d.connect()
    c.send(get("/until/told"))
    poll(lambda: "in" in d.get("/journal").text, "not begun")
    e = d.connect()
    e.send(get("/events")[:-2])
    e.consumed()
    d.signal(signal.SIGTERM)
    poll(lambda: not accepts(d.worker), "draining")
    e.send(b"\r\n")
    assert e.head().status == 200
    while e.chunk():
        pass
    (d.dir / "told").touch()
    assert c.response().body == b"until"
    assert d.wait() == 0
