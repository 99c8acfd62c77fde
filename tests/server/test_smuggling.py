# SPDX-License-Identifier: BSD-3-Clause
"""A second request hidden in a body or behind an ambiguity is never served.

Every vector carries `GET /smuggled`.  Whatever the server makes of the
vector, it must neither call the application with that path nor answer more
requests than a strict reader counts.  Where a proxy in front and this
server could disagree about where a body ends, the connection must close."""
import ast

import pytest

from harness import get
from vectors import BODIES, HEADS

SHARED = ("count", "--no-access-log")

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"
N = len(HIDDEN)
P = b"POST /outer HTTP/1.1\r\nHost: t\r\n"
CH = b"0\r\n\r\n"

AMBIGUOUS = {
    # CL.TE and TE.CL
    "cl-te": P + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n"
    % (5 + N) + CH + HIDDEN,
    "te-cl": P + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" +
    CH + HIDDEN,
    "te-cl-short": P + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"
    b"\r\n%x\r\n" % N + HIDDEN + b"\r\n" + CH,
    # TE.TE: one of the two is disguised
    **{"te-te-%d" % i: P + b"Content-Length: 5\r\n" + te + b"\r\n\r\n" + CH +
       HIDDEN for i, te in enumerate([
           b"Transfer-Encoding: xchunked", b"Transfer-Encoding : chunked",
           b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding:\tchunked",
           b" Transfer-Encoding: chunked", b"X: y\r\n Transfer-Encoding: "
           b"chunked", b"Transfer-Encoding\r\n: chunked",
           b"Transfer-Encoding: chunked\r\nTransfer-encoding: x",
           b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
           b"Transfer-Encoding: chunked, identity",
           b"Transfer-Encoding: identity, chunked",
           b"Transfer-Encoding: \"chunked\"", b"Transfer-Encoding: chunk",
           b"X: y\nTransfer-Encoding: chunked",
           b"X: y\rTransfer-Encoding: chunked",
           b"X: y\0\r\nTransfer-Encoding: chunked",
           b"Transfer-Encoding: chunked\0", b"Transfer-Encoding: \xa0chunked",
           b"Transfer-Encoding:\r\n chunked", b"Transfer_Encoding: x\r\n"
           b"Transfer-Encoding: chunked", b"transfer-encoding: CHUNKED"])},
    # lengths that two readers may read differently
    **{"cl-%d" % i: P + cl + b"\r\n\r\n" + HIDDEN for i, cl in enumerate([
        b"Content-Length: 0\r\nContent-Length: %d" % N,
        b"Content-Length: %d\r\nContent-Length: 0" % N,
        b"Content-Length: 0, %d" % N, b"Content-Length: %d, 0" % N,
        b"Content-Length: +0", b"Content-Length: -0", b"Content-Length: 0x0",
        b"Content-Length: 0 %d" % N, b"Content-Length: 0\x0b",
        b"Content-Length : 0", b"Content-Length: 18446744073709551616",
        b"Content-Length: 4294967296\r\nContent-Length: 0",
        b"Content-Length:\r\n 0", b"Content-Length: 0;", b"Content-Length: 0."
        b"0", b"Content-Length: 1e0", b"Content-Length:", b" Content-Length: "
        b"%d" % N, b"Content-Length: 0\r\nContent-Length: 0"])},
    # the head ends where?
    "lf-lf": b"GET /outer HTTP/1.1\r\nHost: t\r\nX: y\n\n" + HIDDEN,
    "lf-crlf": b"GET /outer HTTP/1.1\r\nHost: t\n\r\n" + HIDDEN,
    "cr-cr": b"GET /outer HTTP/1.1\r\nHost: t\r\r" + HIDDEN,
    "nul": b"GET /outer HTTP/1.1\r\nHost: t\r\nX: y\0\r\n\r\n" + HIDDEN,
    "te-1.0": b"POST /outer HTTP/1.0\r\nHost: t\r\nConnection: keep-alive\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n" + CH + HIDDEN,
    # chunk framing
    **{"chunk-%d" % i: P + b"Transfer-Encoding: chunked\r\n\r\n" + ch + HIDDEN
       for i, ch in enumerate([
           b"0\n\r\n", b"0\r\n\n", b"0\n\n", b"1\nx\r\n" + CH,
           b"1\r\nx\n" + CH, b"0x0\r\n\r\n", b"+0\r\n\r\n", b"-0\r\n\r\n",
           b"1\r\nxx\r\n" + CH, b"2\r\nx\r\n" + CH, b"g\r\n" + CH,
           b"10000000000000000\r\n" + CH, b"1;\nx\r\n" + CH, b"0;\n\r\n\r\n",
           b"0\0\r\n\r\n", b"\r\n" + CH, b"1\rx\r\n" + CH,
           b"0\r\r\n\r\n"])},
    # a request line that another reader may split
    "line-space": b"GET /outer HTTP/1.1 GET /smuggled HTTP/1.1\r\nHost: t\r\n"
    b"\r\n" + HIDDEN,
    "line-cr": b"GET /outer HTTP/1.1\rGET /smuggled HTTP/1.1\r\nHost: t\r\n"
    b"\r\n" + HIDDEN,
    "absolute-host": b"GET http://t/outer HTTP/1.1\r\nHost: a\r\nHost: b\r\n"
    b"\r\n" + HIDDEN,
}

# here the hidden request is plainly body: it is read as such
PLAIN = {
    "sized": P + b"Content-Length: %d\r\n\r\n" % N + HIDDEN,
    "chunk": P + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % N + HIDDEN +
    b"\r\n" + CH,
    "trailer": P + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    b"Content-Length: 0\r\nTransfer-Encoding: identity\r\nHost: x\r\n\r\n",
    "te-underscore": P + b"Transfer_Encoding: chunked\r\nContent-Length: %d"
    b"\r\n\r\n" % N + HIDDEN,
    "upgrade-h2c": P + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c"
    b"\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: %d\r\n"
    b"\r\n" % N + HIDDEN,
    "upgrade-websocket": P + b"Connection: Upgrade\r\nUpgrade: nothing\r\n"
    b"Content-Length: %d\r\n\r\n" % N + HIDDEN,
    "get": b"GET /outer HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % N
    + HIDDEN,
    "delete": b"DELETE /outer HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
    b"chunked\r\n\r\n%x\r\n" % N + HIDDEN + b"\r\n" + CH,
    "head": b"HEAD /outer HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
    % N + HIDDEN,
    "expect": P + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % N +
    HIDDEN,
    "1.0": b"POST /outer HTTP/1.0\r\nConnection: keep-alive\r\n"
    b"Content-Length: %d\r\n\r\n" % N + HIDDEN,
}


def seen(d):
    return ast.literal_eval(d.get("/count").text)


def send(c, raw, pieces):
    if pieces:
        c.send_pieces(raw, 3)
    else:
        c.try_send(raw)


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous(shared, name, pieces):
    before = len(seen(shared))
    c = shared.connect()
    send(c, AMBIGUOUS[name] + get("/after"), pieces)
    c.shutdown()
    data = c.all()
    paths = [p for _, p in seen(shared)[before:]]
    assert "/smuggled" not in paths and "/after" not in paths, paths
    assert data.startswith(b"HTTP/1.1 400 ") or \
        data.startswith(b"HTTP/1.1 413 ") or data == b"", data
    assert data.count(b"HTTP/1.1 ") <= 1, data


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
@pytest.mark.parametrize("name", PLAIN)
def test_plain(shared, name, pieces):
    before = len(seen(shared))
    c = shared.connect()
    send(c, PLAIN[name] + get("/after"), pieces)
    r = c.response("HEAD" if name == "head" else "GET")
    assert r.status == 200, r
    if name not in ("trailer", "head"):
        assert ast.literal_eval(r.text)[2] == HIDDEN
    assert ast.literal_eval(c.response().text)[1] == "/after"
    assert [p for _, p in seen(shared)[before:]] == ["/outer", "/after"]


@pytest.mark.parametrize("name", [*HEADS, *BODIES])
def test_nothing_behind_a_refusal(shared, name):
    raw = HEADS[name][0] if name in HEADS else BODIES[name]
    before = len(seen(shared))
    c = shared.connect()
    c.send(raw + HIDDEN)
    data = c.all()
    assert "/smuggled" not in [p for _, p in seen(shared)[before:]]
    assert data.count(b"HTTP/1.1 ") == 1, data


def test_unread_body_is_never_a_request(asgid):
    """The application answers without reading; what it left is skipped or
    the connection closed."""
    d = asgid("streams")
    for n in (N, 100000, 1000000):
        c = d.connect()
        body = HIDDEN + b"x" * (n - N)
        c.try_send(b"POST /early/401 HTTP/1.1\r\nHost: t\r\n"
                   b"Content-Length: %d\r\n\r\n" % n + body +
                   get("/progress"))
        r = c.response()
        assert r.status == 401
        if "close" in r.tokens("connection"):
            c.all()
        else:
            assert c.response().text.startswith("[")
        c.close()
        c = d.connect()
        c.try_send(b"POST /early/401 HTTP/1.1\r\nHost: t\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % n + body +
                   b"\r\n" + CH + get("/progress"))
        r = c.response()
        assert r.status == 401
        if "close" in r.tokens("connection"):
            c.all()
        else:
            assert c.response().text.startswith("[")


def test_failing_application_leaves_no_request(asgid):
    d = asgid("fails")
    d.allow("Traceback")
    c = d.connect()
    c.send(b"POST /before/value HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n"
           b"\r\n" % N + HIDDEN)
    assert c.response().status == 500
    c.shutdown()
    assert c.all() == b""
