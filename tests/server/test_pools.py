# SPDX-License-Identifier: BSD-3-Clause
"""Objects are recycled, but never while anybody holds them: no request can
wake, see or answer another's."""
import ast

import pytest

from harness import get, poll

GONE = "http.disconnect"


def journal(d):
    return ast.literal_eval(d.get("/journal").text)


@pytest.mark.parametrize("connection", ["same", "other"])
@pytest.mark.parametrize("body", [b"", b"x" * 10, b"x" * 100000])
def test_kept_objects(asgid, connection, body):
    """receive, send and scope of a finished request, used in the next."""
    d = asgid("pools")
    a = d.connect()
    for i in range(20):
        assert a.request("POST", "/keep/%d" % i, body=body).text == "kept"
        b = a if connection == "same" else d.connect()
        r = b.request("POST", "/use/%d" % i, body=b"new")
        assert r.status == 200, r
        out = ast.literal_eval(r.text)
        assert out[:3] == [True, True, True]
        assert out[3:5] == ["/keep/%d" % i, "/use/%d" % i]
        assert out[5] == GONE
        assert set(out[6:8]) <= {"OSError", "RuntimeError"}, out
        assert out[8:] == [b"new", GONE]


def test_kept_objects_of_a_client_that_left(asgid):
    d = asgid("pools")
    a = d.connect()
    assert a.request("GET", "/keep/x").text == "kept"
    a.close()
    out = ast.literal_eval(d.request("POST", "/use", body=b"new").text)
    assert out[5] == GONE and out[8:] == [b"new", GONE]
    assert set(out[6:8]) <= {"OSError", "RuntimeError"}


def test_waiter_of_a_finished_request(asgid):
    """A task still in receive() hears of its own end, once, and the next
    request's events are not its."""
    d = asgid("pools")
    c = d.connect()
    for i in range(10):
        assert c.request("POST", "/keepwait", body=b"x").text == "kept"
        r = c.request("POST", "/body/%d" % i, body=b"%d" % i)
        assert ast.literal_eval(r.text) == ("/body/%d" % i, b"%d" % i)
    poll(lambda: journal(d) == [("old", GONE)] * 10, lambda: journal(d))


def test_pipelined_requests_share_nothing(asgid):
    """The second's arrival and end do not wake the first's waiter."""
    d = asgid("pools")
    a, b = d.connect(), d.connect()
    a.send(get("/event/one") + get("/event/two"))
    b.send(get("/event/three"))
    poll(lambda: sorted(journal(d)) == [("waiting", "one"),
                                        ("waiting", "three")],
         lambda: journal(d))
    d.get("/open/three")
    assert b.response().text == "three"
    d.get("/open/one")
    assert a.response().text == "one"
    d.get("/open/two")
    assert a.response().text == "two"
    j = journal(d)
    for name in ("one", "two", "three"):
        assert (name, False) in j, j        # nobody woke it


@pytest.mark.parametrize("kind", ["receive", "both"])
def test_kept_awaitables(asgid, kind):
    """Made in one request, awaited in the next."""
    d = asgid("pools")
    d.allow("never awaited")
    for _ in range(5):
        assert d.get("/keepawait/" + kind).status in (200, 500)
        r = d.get("/useawait")
        assert r.status in (200, 500), r
        if r.status == 200:
            out = ast.literal_eval(r.text)
            assert out[0] in (GONE, "http.request", "RuntimeError",
                              "OSError"), out
    d.allow("Traceback")
    assert d.get("/journal").status == 200


def test_awaitable_awaited_twice(asgid):
    d = asgid("pools")
    c = d.connect()
    for _ in range(3):
        assert c.request("GET", "/twice").text == "ok"
    assert set(journal(d)) <= {"RuntimeError", "second await gave a value"}
    assert c.request("POST", "/body", body=b"x").status == 200


def test_reference_cycles_are_collected(asgid):
    d = asgid("pools")
    c = d.connect()
    for _ in range(300):
        assert c.request("GET", "/cycle").text == "cycle"
    base = int(c.request("GET", "/gc").text)
    for _ in range(1000):
        assert c.request("GET", "/cycle").text == "cycle"
    assert int(c.request("GET", "/gc").text) - base < 200


def test_requests_of_many_connections_interleaved(asgid):
    """Bodies and answers find their owners, whatever the order."""
    d = asgid("pools")
    conns = [d.connect() for _ in range(50)]
    for rnd in range(4):
        for i, c in enumerate(conns):
            c.send(b"POST /body/%d HTTP/1.1\r\nHost: t\r\nContent-Length: 6"
                   b"\r\n\r\n" % i)
        for i, c in reversed(list(enumerate(conns))):
            c.send(b"%03d" % i)
        for i, c in enumerate(conns):
            c.send(b"%03d" % i)
        for i, c in enumerate(conns):
            path, body = ast.literal_eval(c.response().text)
            assert (path, body) == ("/body/%d" % i, b"%03d" % i * 2)
