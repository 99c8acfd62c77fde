# SPDX-License-Identifier: BSD-3-Clause
"""Applications that fail: the client can tell, the log says all, and the
worker lives on."""
import ast

import pytest

from harness import Truncated, get, poll

WAYS = ["value", "exit", "interrupt", "cancelled", "generatorexit",
        "stopiteration", "memory", "recursion", "base", "unprintable",
        "oserror", "group", "surrogate"]


@pytest.fixture
def fails(asgid):
    d = asgid("fails", "-o", "log.format=uvicorn")
    pid = d.worker
    yield d
    assert d.workers() == [pid], "the worker died"
    assert d.get("/ok").body == b"ok"


def is_500(r):
    assert r.status == 500, r
    assert r.body == b"Internal Server Error"
    assert r.get("content-type", "").startswith("text/plain")
    assert r.get("content-length") == "21"
    assert r.get("x-app") is None
    assert len(r.all("date")) == 1


@pytest.mark.parametrize("where", ["before", "beforewait", "started"])
def test_before_anything_was_sent(fails, where):
    for way in WAYS:
        c = fails.connect()
        r = c.request("GET", "/%s/%s" % (where, way))
        is_500(r)
        fails.wait_access(r"%s/%s HTTP/1.1\" 500" % (where, way))
        fails.expect(r"(?s)GET /%s/%s.*Traceback \(most recent call last\)"
                     % (where, way))


def test_log_of_a_failure(fails):
    c = fails.connect()
    is_500(c.request("GET", "/before/value?q=1"))
    fails.expect("from the app")
    fails.wait_log("ValueError: from the app")
    level, text = [r for r in fails.records() if "from the app" in r[1]][0]
    assert level == "ERROR"
    assert "GET /before/value" in text
    assert "127.0.0.1:%d" % c.local[1] in text
    assert 'fails.py", line ' in text
    assert len([r for r in fails.records() if r[0] == "ERROR"]) == 1


def test_log_of_an_exception_group(fails):
    is_500(fails.get("/before/group"))
    fails.expect("ExceptionGroup: several")
    m = fails.wait_log(r"ExceptionGroup: several.*ValueError: one.*"
                       r"KeyError: 'two'")
    assert m


@pytest.mark.parametrize("where", ["middle", "middlewait"])
def test_in_the_body(fails, where):
    for way in WAYS:
        c = fails.connect()
        c.send(get("/%s/%s" % (where, way)))
        with pytest.raises(Truncated) as e:
            c.response()
        assert e.value.head.status == 200
        assert e.value.got.startswith(b"part")
        assert b"0\r\n\r\n" not in e.value.got
        assert b"Internal" not in e.value.got
        fails.expect(r"GET /%s/%s.*Traceback" % (where, way))


@pytest.mark.parametrize("behind", [b"", get("/whole"), b" / HTTP/1.1\r\n"],
                         ids=["alone", "request", "garbage"])
def test_in_a_sized_body(fails, behind):
    c = fails.connect()
    # what stands behind it must not fill the body up
    c.send(get("/sized/value") + behind)
    with pytest.raises(Truncated) as e:
        c.response()
    assert e.value.head.get("content-length") == "100"
    assert e.value.got == b"part"
    fails.expect("from the app")


def test_after_the_response(fails):
    for way in WAYS:
        c = fails.connect()
        r = c.request("GET", "/after/" + way)
        assert (r.status, r.body) == (200, b"whole")
        fails.expect(r"GET /after/%s.*Traceback" % way)
    fails.wait_log(r"Traceback", count=len(WAYS))


@pytest.mark.parametrize("path,words", [
    ("/nothing", "returned without starting response"),
    ("/nothingwait", "returned without starting response"),
    ("/onlystart", "returned without completing response")])
def test_returns_without_an_answer(fails, path, words):
    is_500(fails.get(path))
    fails.expect(words)


def test_returns_in_the_body(fails):
    c = fails.connect()
    c.send(get("/unfinished"))
    with pytest.raises(Truncated) as e:
        c.response()
    assert e.value.got.startswith(b"part")
    fails.expect("returned without completing response")


def test_returns_a_value(fails):
    r = fails.get("/value")
    assert (r.status, r.body) == (200, b"whole")
    fails.expect("should return None, but returned '?123'?")
    fails.wait_log("returned '?123")


def test_cancels_itself(fails):
    is_500(fails.get("/selfcancel"))
    fails.expect("GET /selfcancel")


def test_after_the_client_has_gone(fails):
    c = fails.connect()
    c.send(get("/lost"))
    poll(lambda: "waiting" in fails.get("/journal").text, "waiting")
    c.close()
    poll(lambda: ast.literal_eval(fails.get("/journal").text) ==
         ["waiting", "gone"], "gone")
    fails.expect("after the client left")
    fails.wait_log("after the client left")


def test_pipelined_after_a_failure(fails):
    """A 500 is an answer like any other to those behind it: served or
    closed, never garbled."""
    c = fails.connect()
    c.send(get("/before/value") + get("/ok"))
    r = c.response()
    is_500(r)
    if r.tokens("connection") == ["close"]:
        assert c.closed()
    else:
        assert c.response().body == b"ok"
    fails.expect("from the app")


def test_head_and_post(fails):
    c = fails.connect()
    c.send(get("/before/value", method="HEAD"))
    r = c.response("HEAD")
    assert r.status == 500 and c.buf == b""
    c = fails.connect()
    is_500(c.request("POST", "/before/value", body=b"x" * 100))
    fails.expect("from the app")


def test_http_1_0(fails):
    is_500(fails.get("/before/value", version="1.0"))
    c = fails.connect()
    c.send(b"GET /middle/value HTTP/1.0\r\n\r\n")
    c.until(lambda b: b.endswith(b"part"))
    c.all()
    fails.expect("from the app")


def test_not_a_coroutine(asgid):
    d = asgid("fails:not_async", "--interface", "asgi3")
    is_500(d.get("/x"))
    d.expect("GET /x", "GET /y")
    assert d.get("/y").status == 500


def test_task_of_the_application_fails(asgid):
    d = asgid("fails:answers_then_task_fails")
    for _ in range(3):
        assert d.get("/x").body == b"ok"
    d.allow("never retrieved")
    d.wait_log("in a task of its own", count=3)


def test_many_failures(fails):
    for i in range(200):
        c = fails.connect()
        c.send(get("/before/value"))
        assert c.response().status == 500
        c.close()
    fails.expect("from the app")
