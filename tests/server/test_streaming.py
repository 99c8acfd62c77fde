# SPDX-License-Identifier: BSD-3-Clause
"""Bodies in pieces, both ways, at once, and larger than anybody's memory."""
import ast
import hashlib
import threading
import time

import pytest

from harness import DEADLINE, Truncated, get, poll
from procfs import rss

SHARED = ("streams", "-o", "log.format=uvicorn")
BLOCK = bytes(range(256)) * 256
MB = 1 << 20
PARTS = b"one,two," + b"x" * 100000 + b",three"


def post(path, *headers):
    return b"\r\n".join([b"POST " + path.encode() + b" HTTP/1.1", b"Host: t",
                         *[h.encode() for h in headers], b"", b""])


def still_alive(c):
    r = c.request("POST", "/echo", body=b"still")
    return r.status == 200 and r.body == b"still"


# ---- event streams

@pytest.mark.parametrize("request_head", [
    get("/events"), get("/events/sized"), get("/events", version="1.0"),
    b"POST /events HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n"])
def test_head_of_an_event_stream(shared, request_head):
    """Its client has the head before there is an event."""
    c = shared.connect()
    c.send(request_head)
    head = c.until(lambda b: b"\r\n\r\n" in b)
    assert b" 200 OK" in bytes(c.buf), head
    shared.get("/open/event")
    assert c.response().body == b"data: 1\n\n"


def test_head_of_an_event_stream_without_body(shared):
    c = shared.connect()
    c.send(get("/events", method="HEAD"))
    shared.get("/open/event")
    assert c.response("HEAD").status == 200
    assert still_alive(c)


def test_event_stream_fails_behind_its_head(shared):
    c = shared.connect()
    c.send(get("/events/fails"))
    c.until(lambda b: b"\r\n\r\n" in b)
    shared.get("/open/event")
    with pytest.raises(Truncated):
        c.response()
    shared.expect("GET /events/fails.*no event")


# ---- framing

@pytest.mark.parametrize("path", ["/parts", "/parts/slow"])
def test_chunked(shared, path):
    c = shared.connect()
    for _ in range(3):
        r = c.request("GET", path)
        assert r.delimited == "chunked" and r.body == PARTS
        assert 0 not in r.chunks
    assert still_alive(c)


@pytest.mark.parametrize("path", ["/parts", "/parts/slow"])
def test_close_delimited(shared, path):
    c = shared.connect()
    r = c.request("GET", path, version="1.0")
    assert r.delimited == "close" and r.body == PARTS
    c = shared.connect()
    r = c.request("GET", path, version="1.0",
                  headers=[("Connection", "keep-alive")])
    assert r.delimited == "close" and r.body == PARTS


def test_last_message_with_data(shared):
    c = shared.connect()
    r = c.request("GET", "/lastpart")
    assert r.body == b"first,last" and r.delimited == "chunked"
    assert still_alive(c)


def test_pieces_are_not_held_back(asgid):
    """Each piece is on the wire before the next exists."""
    d = asgid("streams")
    c = d.connect()
    c.send(get("/gated"))
    assert c.head().status == 200
    for name in "abc":
        assert c.chunk() == name.encode() * 10
        d.get("/open/" + name)
    assert c.chunk() == b"end"
    assert c.chunk() == b""


def test_nothing_before_the_first_piece(asgid):
    """http.response.start alone sends nothing; a late single piece is still
    one sized response."""
    d = asgid("streams")
    c = d.connect()
    c.send(get("/gatedlast"))
    assert c.quiet(0.05)
    d.get("/open/last")
    r = c.response()
    assert r.delimited == "length" and r.body == b"late"


@pytest.mark.parametrize("path,length", [
    ("/parts", None), ("/parts/slow", None), ("/whole/1", "65536"),
    ("/nobody/200/length", "5"), ("/nobody/200/length-stream", "5"),
    ("/nobody/200/data", "5"), ("/nobody/200/none", None)])
def test_head(shared, path, length):
    c = shared.connect()
    c.send(get(path, method="HEAD"))
    r = c.response("HEAD")
    assert r.status == 200
    if length:
        assert r.get("content-length") == length
    assert still_alive(c)
    c.send(get(path, method="HEAD") * 3 + get("/echo"))
    for _ in range(3):
        assert c.response("HEAD").status == 200
    assert c.response().body == b""


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("kind", ["none", "length", "data", "length-data",
                                  "stream", "length-stream"])
def test_no_content(shared, status, kind):
    c = shared.connect()
    for _ in range(2):
        r = c.request("GET", "/nobody/%d/%s" % (status, kind))
        assert r.status == status
        if status == 304:
            # RFC 9112 6.1: what a 200 would have had
            assert r.all("transfer-encoding") in ([], ["chunked"])
            assert r.get("content-length") in (None, "5")
            assert r.get("content-length") != "0"
        else:
            assert not r.all("transfer-encoding")
        assert "close" not in r.tokens("connection")
        assert still_alive(c)


@pytest.mark.parametrize("status", [204, 304])
def test_no_content_1_0(shared, status):
    c = shared.connect()
    r = c.request("GET", "/nobody/%d/data" % status, version="1.0")
    assert r.status == status
    assert c.closed()


def test_empty_body(shared):
    c = shared.connect()
    r = c.request("GET", "/nobody/200/none")
    assert r.get("content-length") == "0"
    assert still_alive(c)


# ---- large bodies

def digest(data_blocks):
    h = hashlib.sha256()
    for b in data_blocks:
        h.update(b)
    return h.hexdigest()


@pytest.mark.parametrize("kind", ["sized", "chunked"])
def test_large_download(asgid, kind):
    d = asgid("streams")
    pid = d.worker
    c = d.connect()
    before = rss(pid)
    n = 1600
    c.send(get("/down/%d/%s" % (n, kind)))
    r = c.head()
    h, total = hashlib.sha256(), 0
    if kind == "sized":
        assert r.get("content-length") == str(n * 65536)
        while total < n * 65536:
            if not c.buf:
                assert c._fill()
            total += len(c.buf)
            h.update(c.buf)
            c.buf.clear()
    else:
        while data := c.chunk():
            h.update(data)
            total += len(data)
    assert total == n * 65536
    assert h.hexdigest() == digest([BLOCK] * n)
    assert rss(pid) - before < 8 * MB
    assert still_alive(c)


def test_large_single_message(shared):
    c = shared.connect()
    r = c.request("GET", "/whole/300")
    assert r.delimited == "length" and r.body == BLOCK * 300
    assert still_alive(c)


@pytest.mark.parametrize("kind", ["sized", "chunked"])
def test_large_upload(asgid, kind):
    d = asgid("streams")
    pid = d.worker
    c = d.connect()
    before = rss(pid)
    n = 1600
    if kind == "sized":
        c.send(post("/up", "Content-Length: %d" % (n * 65536)))
        for _ in range(n):
            c.send(BLOCK)
    else:
        c.send(post("/up", "Transfer-Encoding: chunked"))
        chunk = b"10000\r\n" + BLOCK + b"\r\n"
        for _ in range(n):
            c.send(chunk)
        c.send(b"0\r\n\r\n")
    got = ast.literal_eval(c.response().text)
    assert got[:2] == (n * 65536, digest([BLOCK] * n))
    assert rss(pid) - before < 8 * MB
    assert still_alive(c)


def test_many_small_chunks_up(shared):
    c = shared.connect()
    c.send(post("/up", "Transfer-Encoding: chunked"))
    c.send(b"1\r\nx\r\n" * 20000 + b"0\r\n\r\n")
    got = ast.literal_eval(c.response().text)
    assert got[:2] == (20000, digest([b"x" * 20000]))
    assert still_alive(c)


# ---- back-pressure

def stalled(value):
    """Wait until value() has not moved for a while; return it."""
    last, since = value(), time.monotonic()
    end = since + 2 * DEADLINE
    while time.monotonic() < end:
        time.sleep(0.01)
        now = value()
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > 0.15:
            return last
    raise AssertionError("never stalls")


def progress(d, i):
    return lambda: ast.literal_eval(d.get("/progress").text)[i]


@pytest.mark.parametrize("kind", ["sized", "chunked"])
def test_client_that_does_not_read(asgid, kind):
    """send() waits: the application is stopped, memory is bounded."""
    d = asgid("streams")
    pid = d.worker
    before = rss(pid)
    c = d.connect(rcvbuf=65536)
    c.send(get("/down/1600/" + kind))
    blocks = stalled(progress(d, 0))
    assert blocks * 65536 < 12 * MB, blocks
    assert rss(pid) - before < 4 * MB
    r = c.response()
    assert len(r.body) == 1600 * 65536
    assert hashlib.sha256(r.body).hexdigest() == digest([BLOCK] * 1600)
    assert still_alive(c)


def test_application_that_does_not_read(asgid):
    """The socket is not read: the client is stopped, memory is bounded."""
    d = asgid("streams")
    pid = d.worker
    before = rss(pid)
    c = d.connect()
    n = 800
    c.send(post("/upgated", "Content-Length: %d" % (n * 65536)))
    sent = [0]

    def feed():
        for _ in range(n):
            c.sock.sendall(BLOCK)
            sent[0] += 65536
    c.sock.settimeout(4 * DEADLINE)
    t = threading.Thread(target=feed)
    t.start()
    try:
        assert stalled(lambda: sent[0]) < 16 * MB
        assert rss(pid) - before < 4 * MB
    finally:
        d.get("/open/up")
        t.join()
    total, _, biggest = ast.literal_eval(c.response().text)
    assert 0 < n * 65536 - total < MB       # the first message was dropped
    assert biggest < MB
    assert still_alive(c)


def test_many_clients_that_do_not_read(asgid):
    d = asgid("streams")
    pid = d.worker
    before = rss(pid)
    conns = [d.connect(rcvbuf=4096) for _ in range(50)]
    for c in conns:
        c.send(get("/down/800"))
    assert d.get("/progress").status == 200
    stalled(progress(d, 0))
    assert rss(pid) - before < 24 * MB
    for c in conns:
        c.abort()
    assert d.get("/progress").status == 200


# ---- Expect: 100-continue

EXPECT = "Expect: 100-continue"


def test_100_only_when_asked_for(asgid):
    d = asgid("streams")
    c = d.connect()
    c.send(post("/late100", EXPECT, "Content-Length: 4"))
    assert c.quiet(0.1)
    d.get("/open/ask")
    assert c.head().status == 100
    assert c.quiet(0.02)
    c.send(b"body")
    r = c.response()
    assert ast.literal_eval(r.text) == b"body"
    assert still_alive(c)


@pytest.mark.parametrize("value", ["100-continue", "100-Continue",
                                   "100-CONTINUE"])
@pytest.mark.parametrize("framing", ["Content-Length: 4",
                                     "Transfer-Encoding: chunked"])
def test_100(shared, value, framing):
    c = shared.connect()
    for _ in range(2):
        c.send(post("/echo", "Expect: " + value, framing))
        r = c.head()
        assert (r.status, r.headers) == (100, [])
        c.send(b"body" if "Length" in framing else b"4\r\nbody\r\n0\r\n\r\n")
        r = c.response()
        assert r.body == b"body" and not r.interim
    assert still_alive(c)


def test_100_not_without_receive(shared):
    c = shared.connect()
    c.send(post("/early/401", EXPECT, "Content-Length: 100000"))
    r = c.response()
    assert r.status == 401 and not r.interim and r.body == b"early 401"


def test_100_not_to_1_0(shared):
    c = shared.connect()
    c.send(b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\n"
           b"Content-Length: 4\r\n\r\n")
    assert c.quiet(0.05)
    c.send(b"body")
    r = c.response()
    assert r.body == b"body" and not r.interim


def test_100_without_a_body(shared):
    c = shared.connect()
    c.send(get("/echo", EXPECT))
    r = c.response()
    assert r.status == 200 and len(r.interim) <= 1
    assert still_alive(c)


def test_100_client_does_not_wait(shared):
    c = shared.connect()
    c.send(post("/echo", EXPECT, "Content-Length: 4") + b"body")
    r = c.response()
    assert r.body == b"body" and len(r.interim) <= 1
    assert still_alive(c)


# ---- answers before the body has ended

@pytest.mark.parametrize("path", ["/early/413", "/earlywait/413"])
@pytest.mark.parametrize("framing", ["Content-Length: 10000000",
                                     "Transfer-Encoding: chunked"])
def test_early_answer(shared, path, framing):
    """The client has sent its head only, and waits."""
    c = shared.connect()
    c.send(post(path, framing))
    r = c.response()
    assert r.status == 413 and r.body == b"early 413"
    assert "close" in r.tokens("connection")
    assert c.closed(deadline=2 * DEADLINE)


def test_early_stream(shared):
    c = shared.connect()
    c.send(post("/earlystream", "Content-Length: 10000000") + b"x" * 10000)
    r = c.response()
    assert r.status == 413 and r.body == b"too large"


@pytest.mark.parametrize("path", ["/early/413", "/earlywait/401",
                                  "/earlyafter", "/earlystream"])
def test_early_answer_while_sending(shared, path):
    """The answer survives although the client goes on sending."""
    c = shared.connect()
    c.send(post(path, "Content-Length: 20000000"))
    done = []

    def feed():
        for _ in range(200):
            if not c.try_send(b"x" * 100000):
                break
        done.append(1)
    t = threading.Thread(target=feed)
    t.start()
    try:
        r = c.response()
        assert r.status in (401, 413)
        assert r.body in (b"early 413", b"early 401", b"early", b"too large")
    finally:
        t.join(2 * DEADLINE)
        assert done, "the client is stuck in its send"


def test_early_answer_and_a_small_rest(shared):
    """A small rest that is on its way is drained and the connection lives;
    a server may close instead, but must say so."""
    for _ in range(10):
        c = shared.connect()
        c.send(post("/earlywait/401", "Content-Length: 1000") + b"x" * 500)
        c.consumed()
        c.send(b"x" * 500)
        r = c.response()
        assert r.status == 401
        if "close" in r.tokens("connection"):
            assert c.closed()
        else:
            assert still_alive(c)


def test_unread_body_that_is_here(shared):
    """Whole body present, application does not read it: keep-alive lives."""
    c = shared.connect()
    for n in (1, 1000, 8000):
        c.send(post("/early/401", "Content-Length: %d" % n) + b"x" * n)
        r = c.response()
        assert r.status == 401
        assert "close" not in r.tokens("connection")
    assert still_alive(c)


# ---- full duplex

@pytest.mark.parametrize("framing", ["chunked", "sized"])
def test_full_duplex(shared, framing):
    c = shared.connect()
    pieces = [b"piece %02d" % i for i in range(50)]
    if framing == "chunked":
        c.send(post("/duplex", "Transfer-Encoding: chunked"))
    else:
        c.send(post("/duplex", "Content-Length: %d" %
                    sum(map(len, pieces))))
    head = None
    for p in pieces:
        c.send(b"%x\r\n%s\r\n" % (len(p), p) if framing == "chunked" else p)
        head = head or c.head()
        assert c.chunk() == p
    if framing == "chunked":
        c.send(b"0\r\n\r\n")
    assert c.chunk() == b""
    assert head.status == 200
    if "close" not in head.tokens("connection"):
        assert still_alive(c)


def test_full_duplex_small_body(shared):
    """Ten bytes, five now, five only after the answer to the first five."""
    c = shared.connect()
    c.send(post("/duplex", "Content-Length: 10") + b"12345")
    assert c.head().status == 200
    assert c.chunk() == b"12345"
    c.send(b"67890")
    assert c.chunk() == b"67890"
    assert c.chunk() == b""


def test_full_duplex_server_speaks_first(shared):
    c = shared.connect()
    c.send(post("/duplexgo", "Content-Length: 5"))
    assert c.head().status == 200
    assert c.chunk() == b"hello,"
    c.send(b"world")
    assert c.chunk() == b"world"
    assert c.chunk() == b""


def test_full_duplex_large(asgid):
    """Echo of 20 MB through a client that reads and writes at once."""
    d = asgid("streams")
    pid = d.worker
    c = d.connect()
    before = rss(pid)
    n = 320
    c.send(post("/duplex", "Content-Length: %d" % (n * 65536)))
    t = threading.Thread(target=lambda: [c.try_send(BLOCK)
                                         for _ in range(n)])
    t.start()
    c.head()
    h = hashlib.sha256()
    while data := c.chunk():
        h.update(data)
    t.join()
    assert h.hexdigest() == digest([BLOCK] * n)
    assert rss(pid) - before < 8 * MB


def test_full_duplex_reader_stops(asgid):
    """Back-pressure goes all the way through."""
    d = asgid("streams")
    pid = d.worker
    before = rss(pid)
    c = d.connect(rcvbuf=65536)
    n = 800
    c.send(post("/duplex", "Content-Length: %d" % (n * 65536)))
    sent = [0]
    c.sock.settimeout(4 * DEADLINE)

    def feed():
        for _ in range(n):
            c.sock.sendall(BLOCK)
            sent[0] += 65536
    t = threading.Thread(target=feed)
    t.start()
    try:
        assert stalled(lambda: sent[0]) < 32 * MB
        assert rss(pid) - before < 8 * MB
    finally:
        c.head()
        total = 0
        while data := c.chunk():
            total += len(data)
        t.join()
    assert total == n * 65536


def test_duplex_client_leaves(asgid):
    d = asgid("streams")
    c = d.connect()
    c.send(post("/duplex", "Transfer-Encoding: chunked") + b"1\r\nx\r\n")
    c.head()
    assert c.chunk() == b"x"
    c.abort()
    poll(lambda: "http.disconnect" in d.get("/journal").text, "not told")

