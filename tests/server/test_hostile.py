# SPDX-License-Identifier: BSD-3-Clause
"""Clients that mean harm: the worker is the same process afterwards, and
others are served meanwhile."""
import random
import socket

import pytest

from harness import get, poll
from procfs import cpu, rss

SHARED = ("count", "--no-access-log")


@pytest.fixture
def target(shared):
    pid = shared.worker
    yield shared
    assert shared.workers() == [pid]
    assert shared.get("/count").status == 200


def drain(c):
    """Whatever comes, until the end."""
    data = b""
    try:
        while part := c.sock.recv(65536):
            data += part
    except OSError:
        pass
    return data


def test_random_bytes(target):
    rng = random.Random(1)
    for i in range(150):
        c = target.connect()
        c.try_send(rng.randbytes(rng.choice([1, 10, 100, 1000, 20000])))
        c.shutdown() if i % 2 else c.close()


def test_mutated_requests(target):
    rng = random.Random(2)
    base = [get("/a?b", "X-A: b", "Cookie: c=d", "Connection: keep-alive"),
            b"POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nabcde",
            b"POST /p HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
            b"\r\n5\r\nabcde\r\n0\r\n\r\n"]
    for _ in range(400):
        raw = bytearray(rng.choice(base))
        for _ in range(rng.randint(1, 4)):
            i = rng.randrange(len(raw))
            what = rng.randrange(4)
            if what == 0:
                raw[i] = rng.randrange(256)
            elif what == 1:
                del raw[i:i + rng.randint(1, 5)]
            elif what == 2:
                raw[i:i] = rng.choice([b"\r\n", b"\n", b"\0", b" ", b":",
                                       b"\r", b"\xff", b"0", b"\t"])
            else:
                raw[i:i] = raw[max(0, i - 20):i]
            if not raw:
                raw = bytearray(b"x")
        c = target.connect()
        c.try_send(bytes(raw) + get("/end", "Connection: close"))
        c.close()


def test_truncated_requests(target):
    raw = b"POST /p?q HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nabcde"
    for n in range(len(raw)):
        for how in ("close", "abort", "shutdown"):
            c = target.connect()
            c.send(raw[:n])
            getattr(c, how)()


def test_slowloris(target):
    """Two hundred that never finish their heads keep nobody out."""
    conns = [target.connect() for _ in range(200)]
    for c in conns:
        c.send(b"GET / HTTP/1.1\r\nHost: t\r\nX-")
    for _ in range(20):
        assert target.get("/count").status == 200
    used = cpu(target.worker)
    assert conns[0].quiet(0.3)
    assert cpu(target.worker) - used < 0.1


def test_ten_thousand_headers(target):
    c = target.connect()
    c.try_send(get("/", *("X-%d: y" % i for i in range(10000))))
    assert c.response().status == 431
    c = target.connect()
    c.try_send(b"GET / HTTP/1.1\r\n" + b"A:\r\n" * 10000 + b"\r\n")
    assert c.response().status in (400, 431)


def test_huge_uri(target):
    for size in (20000, 31000, 32768, 40000, 1000000):
        c = target.connect()
        c.try_send(get("/" + "a" * size))
        assert c.response().status == 414


def test_library_crash_vector(target):
    """libmicrohttpd 1.0.1 dies of a query argument without '=' when its
    pool is nearly full."""
    for n in [*range(30000, 32900, 97), 31 * 1024, 15000, 16000, 16300]:
        c = target.connect()
        c.try_send(b"GET /" + b"A" * n + b"?a HTTP/1.0\r\n\r\n")
        data = drain(c)
        assert data[:9] == b"HTTP/1.1 ", (n, data[:50])
        c.close()
    for n in (30000, 31000, 32000):
        c = target.connect()
        c.try_send(b"GET /" + b"A" * n + b"?a HTTP/1.1\r\n\r\n")
        assert drain(c)[:10] == b"HTTP/1.1 4"


def test_thousand_query_arguments(target):
    q = "&".join("a%d" % i for i in range(1000))
    for sep in ("?", "?&&&", "?=&="):
        r = target.get("/x" + sep + q)
        assert r.status == 200
    assert target.get("/x?" + "&" * 10000).status == 200
    assert target.get("/x?" + "a=&" * 4000).status == 200


def test_bad_cookies(target):
    # not a=": libmicrohttpd 0.9.75 itself refuses that with 431
    for cookie in ("a", "=", ";;;;", "a=b; " * 100, '"', 'a="b',
                   "=" * 1000, "a=\xff"):
        r = target.get("/x", headers=[("Cookie", cookie)])
        assert r.status == 200, cookie


@pytest.mark.parametrize("when", ["before", "head", "body", "response"])
def test_urgent_data(target, when):
    c = target.connect()
    if when == "before":
        c.sock.send(b"!", socket.MSG_OOB)
    elif when == "head":
        c.send(b"GET / HTTP/1.1\r\n")
        c.sock.send(b"!", socket.MSG_OOB)
    elif when == "body":
        c.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nab")
        c.sock.send(b"!", socket.MSG_OOB)
    else:
        c.request("GET", "/x")
        c.sock.send(b"!", socket.MSG_OOB)
    c.try_send(b"x")
    c.close()


def test_reset_in_each_phase(asgid):
    d = asgid("streams")
    pid = d.worker
    phases = [
        b"", b"G", b"GET /parts HTTP/1.1\r\n",
        b"POST /up HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n",
        b"POST /up HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n" +
        b"x" * 50000,
        b"POST /up HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nab",
        get("/parts"), get("/parts/slow") * 10, get("/down/100"),
        get("/whole/100"), get("/down/100/sized"),
        b"POST /duplex HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n"
        + b"x" * 50000,
        b"POST /early/413 HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n"
        b"\r\nabc",
        b"garbage\r\n\r\n",
    ]
    for raw in phases:
        for wait in (False, True):
            for _ in range(3):
                c = d.connect(rcvbuf=4096)
                c.try_send(raw)
                if wait:
                    c.caught_up()
                c.abort()
    assert d.workers() == [pid]
    assert d.get("/progress").status == 200
    # uploads that were cut off end in the assertion of the application
    d.allow("http.disconnect")


def test_half_a_response_is_read(asgid):
    d = asgid("streams")
    for how in ("close", "abort"):
        for path in ("/down/50", "/whole/50", "/parts"):
            for _ in range(5):
                c = d.connect(rcvbuf=4096)
                c.send(get(path))
                c.until(lambda b: len(b) > 20)
                getattr(c, how)()
    assert d.get("/progress").status == 200


def test_endless_pipelining_without_reading(asgid):
    """Requests are not taken in while their answers are not read."""
    d = asgid("streams")
    pid = d.worker
    before = rss(pid)
    c = d.connect(rcvbuf=4096)
    c.sock.settimeout(0.3)
    raw = get("/parts") * 100
    sent = 0
    try:
        while sent < 64 << 20:
            sent += c.sock.send(raw)
    except OSError:
        pass
    assert sent < 16 << 20
    assert rss(pid) - before < 8 << 20
    assert d.get("/progress").status == 200


def test_endless_chunk_extension(target):
    c = target.connect()
    c.try_send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
               b"\r\n5;" + b"a" * 1000000)
    assert drain(c)[:10] == b"HTTP/1.1 4"


def test_endless_trailers(target):
    c = target.connect()
    c.try_send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
               b"\r\n0\r\n" + b"X-A: bbbbbbbbbbbbbbbbbb\r\n" * 50000)
    data = drain(c)
    assert data == b"" or data[:10] == b"HTTP/1.1 4"


def test_tls_hello(target):
    c = target.connect()
    c.send(bytes.fromhex("16030100c8010000c40303") + b"\x01" * 190 +
           b"\r\n\r\n")
    assert drain(c)[:10] == b"HTTP/1.1 4"


def test_connect_flood(target):
    for _ in range(500):
        target.connect().close()
        target.conns.clear()
    poll(lambda: target.get("/count").status == 200, "dead")
