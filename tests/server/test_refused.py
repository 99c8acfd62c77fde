# SPDX-License-Identifier: BSD-3-Clause
"""Malformed requests are refused, whatever pieces they come in, and the
application never sees them."""
import ast
import re

import pytest

from harness import Closed, Truncated, get
from vectors import BODIES, H, HEADS, P, TE

SHARED = ("count", "-o", "log.format=uvicorn")


def is_refusal(r, status):
    assert r.status in (status if isinstance(status, tuple) else (status,)), r
    assert r.tokens("connection") == ["close"], r
    assert r.get("content-type", "").startswith("text/plain"), r
    assert r.delimited == "length" and 0 < len(r.body) < 200, r
    assert b"<" not in r.body
    assert len(r.all("date")) == 1


def seen(d):
    return ast.literal_eval(d.get("/count").text)


def quoted(status):
    return "|".join(map(str, status if isinstance(status, tuple)
                        else (status,)))


@pytest.mark.parametrize("name", HEADS)
def test_whole(shared, name):
    raw, status = HEADS[name]
    before = len(seen(shared))
    lines = len(shared.access)
    records = len(shared.records())
    c = shared.connect()
    c.send(raw)
    r = c.response()
    is_refusal(r, status)
    assert c.closed()
    assert not c.reset
    assert len(seen(shared)) == before
    # the access log has it, on one line, and the error log says why
    shared.wait_access(r":%d - \".*\" (%s) " % (c.local[1], quoted(status)))
    assert len([x for x in shared.access[lines:]
                if ":%d - " % c.local[1] in x]) == 1
    new = shared.records()[records:]
    assert any(lv == "INFO" and re.search(r"127\.0\.0\.1", t)
               for lv, t in new), new


@pytest.mark.parametrize("name", HEADS)
def test_in_pieces(shared, name):
    raw, status = HEADS[name]
    before = len(seen(shared))
    c = shared.connect()
    c.send_pieces(raw, 1 if len(raw) < 200 else 7)
    is_refusal(c.response(), status)
    assert c.closed()
    assert len(seen(shared)) == before


@pytest.mark.parametrize("name", HEADS)
def test_after_a_good_request(shared, name):
    """The response of an earlier pipelined request is not lost."""
    raw, status = HEADS[name]
    before = len(seen(shared))
    c = shared.connect()
    c.send(get("/first") + raw + get("/never"))
    r = c.response()
    assert r.status == 200 and "/first" in r.text
    is_refusal(c.response(), status)
    assert c.closed()
    assert seen(shared)[before:] == [("GET", "/first")]


@pytest.mark.parametrize("name", ["te-and-length", "no-host", "bare-lf",
                                  "version-2.0", "no-colon"])
def test_after_a_slow_request(asgid, name):
    raw, status = HEADS[name]
    d = asgid("conns")
    c = d.connect()
    c.send(get("/slow/30/a") + get("/slow/1/b") + raw)
    assert c.response().text == "/slow/30/a"
    assert c.response().text == "/slow/1/b"
    is_refusal(c.response(), status)
    assert c.closed()


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
@pytest.mark.parametrize("name", BODIES)
def test_body(shared, name, pieces):
    raw = BODIES[name]
    c = shared.connect()
    if pieces:
        c.send_pieces(raw)
    else:
        c.send(raw)
    try:
        is_refusal(c.response(), (400, 413))
    except Truncated:
        raise
    except Closed:
        pytest.fail("closed without an answer")
    assert c.closed()


GOOD = {
    "length-leading-zeros": (P + b"Content-Length: 000000000000000002\r\n\r\n"
                             b"ab", b"ab"),
    "binary": (P + b"Content-Length: 6\r\n\r\n\0\r\n\0\n\0",
               b"\0\r\n\0\n\0"),
    "length-padded": (P + b"Content-Length:\t 2\r\n\r\nab", b"ab"),
    "te-case": (P + b"tRANSFER-eNCODING: CHUNKED\r\n\r\n2\r\nab\r\n0\r\n\r\n",
                b"ab"),
    "te-padded": (P + b"Transfer-Encoding: \t chunked\r\n\r\n2\r\nab\r\n"
                  b"0\r\n\r\n", b"ab"),
    "chunk-zeros": (TE + b"0000002\r\nab\r\n000\r\n\r\n", b"ab"),
    "chunk-case": (TE + b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
                   b"0123456789" * 2),
    "trailers": (TE + b"2\r\nab\r\n0\r\nX-Trailer: 1\r\nx-b: 2\r\n\r\n",
                 b"ab"),
    "get-with-body": (H + b"Content-Length: 2\r\n\r\nab", b"ab"),
    "get-chunked": (H + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
                    b"0\r\n\r\n", b"ab"),
    "length-zero": (P + b"Content-Length: 0\r\n\r\n", b""),
    "no-length": (P + b"\r\n", b""),
    "length-1.0": (b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n"
                   b"Content-Length: 2\r\n\r\nab", b"ab"),
    "two-hosts-1.0-none": (b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n"
                           b"\r\n", b""),
    "host-empty": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b""),
    "host-port": (b"GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", b""),
    "obs-value": (H + b"X-A: caf\xe9\r\n\r\n", b""),
    "tab-value": (H + b"X-A: a\tb\r\n\r\n", b""),
}


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
@pytest.mark.parametrize("name", GOOD)
def test_not_too_strict(shared, name, pieces):
    """What looks odd but is right is served, and keep-alive survives."""
    raw, body = GOOD[name]
    c = shared.connect()
    if pieces:
        c.send_pieces(raw)
    else:
        c.send(raw)
    r = c.response()
    assert r.status == 200, r
    assert ast.literal_eval(r.text)[2] == body
    c.send(get("/again"))
    assert ast.literal_eval(c.response().text)[1] == "/again"


@pytest.mark.parametrize("raw", [
    TE + b"2;a=b;c=\"d\"\r\nab\r\n0;x\r\n\r\n",
    P + b"Content-Length: 2 \t\r\n\r\nab",
    P + b"Transfer-Encoding: chunked \t\r\n\r\n2\r\nab\r\n0\r\n\r\n"],
    ids=["chunk-extension", "length-space-behind", "te-space-behind"])
def test_served_or_refused(shared, raw):
    """Right, but not every library can: never misread."""
    c = shared.connect()
    c.send(raw)
    r = c.response()
    if r.status == 200:
        assert ast.literal_eval(r.text)[2] == b"ab"
    else:
        is_refusal(r, 400)


# ---- sizes

def test_target_too_long(shared):
    c = shared.connect()
    c.try_send(get("/" + "a" * 17000))
    is_refusal(c.response(), 414)
    assert c.closed()
    shared.wait_access(r":%d - \".*\" 414 " % c.local[1])


def test_query_too_long(shared):
    c = shared.connect()
    c.try_send(get("/?" + "a" * 17000))
    is_refusal(c.response(), 414)
    assert c.closed()


def test_header_too_large(shared):
    c = shared.connect()
    c.try_send(get("/", "X-A: " + "a" * 17000))
    is_refusal(c.response(), 431)
    assert c.closed()
    shared.wait_access(r":%d - \".*\" 431 " % c.local[1])


@pytest.mark.parametrize("size", [40000, 200000, 2000000])
def test_far_too_large(shared, size):
    """Also what would never fit: an answer, and it can be read."""
    c = shared.connect()
    c.try_send(get("/", "X-A: " + "a" * size))
    is_refusal(c.response(), 431)
    c = shared.connect()
    c.try_send(get("/" + "a" * size))
    is_refusal(c.response(), 414)
    c = shared.connect()
    c.try_send(get("/", *("X-%d: v" % i for i in range(size // 10))))
    is_refusal(c.response(), 431)


def test_header_that_fits(shared):
    c = shared.connect()
    for _ in range(3):
        c.send(get("/", "X-A: " + "a" * 15000))
        assert c.response().status == 200
    c.send(get("/" + "a" * 15000))
    assert c.response().status == 200


def test_header_size_is_an_option(asgid):
    d = asgid("count", "-o", "limits.header_size=2000")
    assert d.get("/" + "a" * 1800).status == 200
    assert d.get("/", headers=[("X-A", "a" * 1800)]).status == 200
    is_refusal(d.get("/" + "a" * 2100), 414)
    is_refusal(d.get("/", headers=[("X-A", "a" * 2100)]), 431)
    is_refusal(d.get("/" + "a" * 1000, headers=[("X-A", "a" * 1000)]), 431)
    d = asgid("count", "-o", "limits.header_size=24K")
    assert d.get("/", headers=[("X-A", "a" * 24000)]).status == 200


def test_body_size(asgid):
    d = asgid("count", "-o", "limits.body_size=1000")
    c = d.connect()
    assert c.request("POST", body=b"a" * 1000).status == 200
    # told at once, before the body was sent
    c.send(P + b"Content-Length: 1001\r\n\r\n")
    is_refusal(c.response(), 413)
    n = len(seen(d))
    assert n == 1
    c = d.connect()
    c.send(P + b"Content-Length: 1001\r\n\r\n" + b"a" * 1001)
    is_refusal(c.response(), 413)
    assert c.closed()
    assert len(seen(d)) == 1
    # with Expect: no 100
    c = d.connect()
    c.send(P + b"Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
    r = c.response()
    is_refusal(r, 413)
    assert not r.interim
    # chunked: exact is right, one more is not
    c = d.connect()
    c.send(TE + b"3e8\r\n" + b"a" * 1000 + b"\r\n0\r\n\r\n")
    assert c.response().status == 200
    c.send(TE + b"3e8\r\n" + b"a" * 1000 + b"\r\n1\r\na\r\n0\r\n\r\n")
    is_refusal(c.response(), 413)
    assert c.closed()


def test_body_size_large_upload(asgid):
    """The refusal can be read although the client was still sending."""
    d = asgid("count", "-o", "limits.body_size=1M")
    c = d.connect()
    c.try_send(P + b"Content-Length: 8000000\r\n\r\n" + b"a" * 8000000)
    is_refusal(c.response(), 413)
    assert d.get("/x").status == 200


def test_unix_socket(asgid, tmp_path):
    path = str(tmp_path / "a.sock")
    d = asgid("count", "--uds", path, listen=False)
    for name in ("no-host", "te-and-length", "bare-lf", "version-1.2"):
        raw, status = HEADS[name]
        c = d.connect(address=path)
        c.send(raw)
        is_refusal(c.response(), status)
        assert c.closed()


def test_nothing_of_these_warns(shared):
    """Anybody can send garbage: that is no warning."""
    assert not [r for r in shared.records()
                if r[0] in ("WARNING", "ERROR", "CRITICAL")]
