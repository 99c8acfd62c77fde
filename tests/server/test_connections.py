# SPDX-License-Identifier: BSD-3-Clause
"""Keep-alive, pipelining, deadlines, limits, and clients that leave."""
import ast
import time

import pytest

from harness import DEADLINE, Truncated, frozen, get, poll
from procfs import cpu, descriptors
from test_control import Control

SHARED = ("conns",)


def journal(d):
    return ast.literal_eval(d.get("/journal").text)


def wait_journal(d, condition):
    last = []

    def check():
        last[:] = journal(d)
        return condition(last)
    poll(check, lambda: "journal: %r" % last)


# ---- keep-alive

def test_keep_alive_is_the_default(shared):
    c = shared.connect()
    for i in range(50):
        r = c.request("GET", "/fast/%d" % i)
        assert r.text == "/fast/%d" % i
        assert "close" not in r.tokens("connection")


@pytest.mark.parametrize("value", [
    "close", "Close", "CLOSE", "close, foo", "foo, close", "foo,CLOSE , bar",
    ", close", "keep-alive, close", "close,"])
@pytest.mark.parametrize("path", ["/fast", "/slow/1"])
def test_close_is_asked_for(shared, value, path):
    c = shared.connect()
    c.send(get(path, "Connection: " + value) + get("/never"))
    r = c.response()
    assert r.text == path
    assert r.tokens("connection") == ["close"]
    assert c.closed()


def test_close_in_a_second_field(shared):
    c = shared.connect()
    c.send(get("/fast", "Connection: foo", "Connection: close"))
    assert c.response().tokens("connection") == ["close"]
    assert c.closed()


@pytest.mark.parametrize("value", ["closed", "not-close", "foo", "clos",
                                   "keep-alive", "\"close\""])
def test_close_is_not_asked_for(shared, value):
    c = shared.connect()
    for _ in range(2):
        c.send(get("/fast", "Connection: " + value))
        assert "close" not in c.response().tokens("connection")


def test_http_1_0_closes(shared):
    c = shared.connect()
    c.send(b"GET /fast HTTP/1.0\r\n\r\n")
    r = c.response()
    assert r.text == "/fast" and "keep-alive" not in r.tokens("connection")
    assert c.closed()


@pytest.mark.parametrize("value", ["keep-alive", "Keep-Alive",
                                   "foo, KEEP-alive"])
def test_http_1_0_keep_alive(shared, value):
    c = shared.connect()
    for path in ("/fast", "/slow/1", "/fast"):
        c.send(b"GET %s HTTP/1.0\r\nConnection: %s\r\n\r\n" %
               (path.encode(), value.encode()))
        r = c.response()
        assert r.text == path
        assert "keep-alive" in r.tokens("connection")
    c.send(b"GET /fast HTTP/1.0\r\n\r\n")
    assert c.response().status == 200
    assert c.closed()


# ---- pipelining

def test_pipelining_in_order(shared):
    c = shared.connect()
    paths = ["/slow/%d/%d" % (20 - i, i) if i % 3 else "/fast/%d" % i
             for i in range(20)]
    c.send(b"".join(get(p) for p in paths))
    assert [c.response().text for _ in paths] == paths


def test_pipelining_many(shared):
    c = shared.connect()
    paths = ["/fast/%d" % i for i in range(1000)]
    c.send(b"".join(get(p) for p in paths))
    assert [c.response().text for _ in paths] == paths


def test_pipelining_with_bodies(shared):
    c = shared.connect()
    raw = b""
    for i in range(40):
        n = i * 97
        if i % 2:
            raw += (b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: %d"
                    b"\r\n\r\n" % n + b"b" * n)
        else:
            raw += (b"POST /body HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
                    b"chunked\r\n\r\n" +
                    (b"%x\r\n" % n + b"b" * n + b"\r\n" if n else b"") +
                    b"0\r\n\r\n")
    c.send(raw)
    assert [int(c.response().text) for i in range(40)] == \
        [i * 97 for i in range(40)]


def test_pipelining_in_pieces(shared):
    c = shared.connect()
    raw = get("/fast/1") + get("/slow/1/2") + get("/stream") + \
        b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc" + \
        get("/fast/5")
    c.send_pieces(raw, 5)
    assert [c.response().text for _ in range(5)] == [
        "/fast/1", "/slow/1/2", "01234", "3", "/fast/5"]


@pytest.mark.parametrize("first", ["/fast", "/slow/2", "/stream"])
def test_pipelining_split_anywhere(shared, first):
    """The next head has begun when the response goes out; its rest comes
    afterwards, and may begin with any byte."""
    head = get(first)
    tail = b"POST /body?a=b HTTP/1.1\r\nHost: t\r\nX-A: b c\r\n" \
        b"Content-Length: 3\r\n\r\nabc"
    for k in range(len(tail)):
        c = shared.connect()
        c.send(head + tail[:k])
        assert c.response().status == 200
        c.send(tail[k:])
        assert c.response().text == "3", tail[k:]
        c.close()


def test_pipelining_is_one_at_a_time(asgid):
    d = asgid("conns")
    c = d.connect()
    c.send(get("/gated/a") + get("/gated/b"))
    wait_journal(d, lambda j: len(j) >= 1)
    assert journal(d) == [("in", "/gated/a")]
    d.get("/open/a")
    assert c.response().text == "/gated/a"
    wait_journal(d, lambda j: j == [("in", "/gated/a"), ("in", "/gated/b")])
    d.get("/open/b")
    assert c.response().text == "/gated/b"


# ---- half-closed clients

def test_half_closed_fast(shared):
    for _ in range(20):
        c = shared.connect()
        c.send(get("/fast"))
        c.shutdown()
        assert c.response().text == "/fast"
        assert c.closed()


def test_half_closed_fast_after_others(shared):
    c = shared.connect()
    c.request("GET", "/fast")
    c.send(get("/fast/1") + get("/fast/2"))
    c.shutdown()
    assert c.response().text == "/fast/1"
    assert c.response().text == "/fast/2"
    assert c.closed()


def test_half_closed_body(shared):
    c = shared.connect()
    c.send(b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc")
    c.shutdown()
    assert c.response().text == "3"


def test_half_closed_slow(shared):
    """Answered or closed, never left alone."""
    c = shared.connect()
    c.send(get("/slow/50"))
    c.shutdown()
    data = c.all()
    assert data == b"" or data.endswith(b"/slow/50")


def test_half_closed_before_the_head_is_complete(shared):
    c = shared.connect()
    c.send(b"GET / HTTP/1.1\r\nHo")
    c.shutdown()
    data = c.all()
    assert data == b"" or data.startswith(b"HTTP/1.1 4")


# ---- deadlines: none but the one in question is near

def elapsed(start):
    return time.monotonic() - start


def test_header_deadline(asgid):
    d = asgid("conns", "-o", "timeouts.header=300ms", "-o",
              "log.format=uvicorn")
    start = time.monotonic()
    c = d.connect()
    c.try_send(b"GET / HTTP/1.1\r\nHost: ")
    r = c.response()
    assert r.status == 408 and r.tokens("connection") == ["close"]
    assert c.closed()
    assert elapsed(start) > 0.25
    d.wait_access(" 408 ")


def test_header_deadline_of_a_silent_connection(asgid):
    d = asgid("conns", "-o", "timeouts.header=300ms")
    start = time.monotonic()
    c = d.connect()
    data = c.all()
    assert data == b"" or data.startswith(b"HTTP/1.1 408 ")
    assert elapsed(start) > 0.25


@pytest.mark.parametrize("drip", [b"a", b"X: y\r\n"])
def test_header_deadline_is_not_put_off(asgid, drip):
    """A slowloris that sends a little again and again."""
    d = asgid("conns", "-o", "timeouts.header=300ms")
    start = time.monotonic()
    c = d.connect()
    c.try_send(b"GET / HTTP/1.1\r\nHost: t\r\n")
    while c.try_send(drip) and c.quiet(0.02):
        assert elapsed(start) < DEADLINE
    assert c.head().status == 408
    assert elapsed(start) > 0.25


def connect_with(d, raw):
    """A connection whose first bytes are there when it is accepted."""
    d.allow("stopped by SIGSTOP")
    with frozen(d.worker):
        c = d.connect()
        c.send(raw)
    return c


def test_header_deadline_in_a_later_request(asgid):
    d = asgid("conns", "-o", "timeouts.header=300ms")
    c = connect_with(d, get("/fast"))
    assert c.response().status == 200
    c.send(b"GET /fa")
    assert c.response().status == 408
    assert c.closed()


def test_header_deadline_of_a_pipelined_head(asgid):
    """It began with the request before it."""
    d = asgid("conns", "-o", "timeouts.header=300ms")
    for path in ("/fast", "/slow/2", "/stream"):
        c = connect_with(d, get(path) + b"GET /fa")
        assert c.response().status == 200
        assert c.response().status == 408
        assert c.closed()


def test_body_deadline(asgid):
    d = asgid("conns", "-o", "timeouts.body=300ms")
    c = d.connect()
    start = time.monotonic()
    c.send(b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc")
    data = c.all()
    assert data == b"" or data.startswith(b"HTTP/1.1 408 ")
    assert elapsed(start) > 0.25
    wait_journal(d, lambda j: j == [("lost", "http.disconnect")])


def patiently(attempt):
    """attempt(unit): False when it was itself too slow for what it wants to
    show; then once more with all times doubled."""
    unit = 1
    while not attempt(unit):
        unit *= 2


def test_body_deadline_is_between_pieces(asgid):
    def attempt(unit):
        d = asgid("conns", "-o", "timeouts.body=%dms" % (800 * unit))
        c = d.connect()
        last = time.monotonic()
        c.send(b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n"
               b"\r\n")
        longest = 0
        for _ in range(10):
            c.quiet(0.12 * unit)
            begun = time.monotonic()
            c.try_send(b"a")
            longest = max(longest, elapsed(last))
            last = begun
        if longest > 0.75 * unit:
            return False
        assert c.response().text == "10"
        return True
    patiently(attempt)


def test_keep_alive_deadline(asgid):
    d = asgid("conns", "--timeout-keep-alive", "1")
    c = d.connect()
    start = time.monotonic()
    c.request("GET", "/fast")
    assert c.closed()               # and not a byte more
    assert not c.reset
    assert elapsed(start) > 0.9


def test_keep_alive_deadline_spares_the_busy(asgid):
    d = asgid("conns", "-o", "timeouts.keep_alive=100ms", "-o",
              "timeouts.header=200ms", "-o", "timeouts.body=200ms")
    c = connect_with(d, 2 * get("/slow/400"))
    assert c.response().text == "/slow/400"
    assert c.response().text == "/slow/400"
    assert c.closed()


@pytest.mark.parametrize("option, before, after", [
    ("keep_alive", get("/fast"), get("/fast")),
    ("header", get("/fast") + get("/fast")[:9], get("/fast")[9:]),
    ("body", b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\na",
     b"b")], ids=["keep_alive", "header", "body"])
def test_what_came_in_time_counts(asgid, option, before, after):
    """.. although the deadline had passed when the worker looked at it."""
    def attempt(unit):
        d = asgid("conns", "-o", "timeouts.%s=%ds" % (option, unit))
        c = connect_with(d, before)
        if option == "body":
            c.consumed()
        else:
            assert c.response().status == 200
        start = c.used
        with frozen(d.worker):
            c.try_send(after)
            in_time = elapsed(start) < 0.9 * unit
            time.sleep(1.1 * unit)
        if in_time:
            assert c.response().status == 200
        return in_time
    patiently(attempt)


def test_write_deadline(asgid):
    d = asgid("conns", "-o", "timeouts.write=300ms")
    c = d.connect(rcvbuf=4096)
    start = time.monotonic()
    c.send(get("/flood"))
    wait_journal(d, lambda j: j == ["OSError"])
    assert elapsed(start) > 0.25
    with pytest.raises(Truncated):
        c.response()


def test_write_deadline_of_a_whole_answer(asgid):
    d = asgid("streams", "-o", "timeouts.write=300ms")
    pid = d.worker
    c = d.connect(rcvbuf=4096)
    c.send(get("/whole/500"))
    c.until(lambda b: len(b) > 100)
    poll(lambda: len(descriptors(pid)) == len(d.baseline[pid]),
         "not given up")


def test_write_deadline_spares_the_slow(asgid):
    def attempt(unit):
        d = asgid("streams", "-o", "timeouts.write=%dms" % (600 * unit))
        c = d.connect(rcvbuf=4096)
        c.send(get("/down/8/sized"))
        c.head()
        n = longest = 0
        start = last = time.monotonic()
        try:
            while elapsed(start) < 1.8 * unit:
                n += len(c.take(1000))
                longest = max(longest, elapsed(last))
                last = time.monotonic()
                c.quiet(0.01 * unit)
                time.sleep(0.005 * unit)
            c.take(8 * 65536 - n)
        except Truncated:
            assert max(longest, elapsed(last)) > 0.2 * unit
            return False
        return longest < 0.2 * unit
    patiently(attempt)


# ---- limits

def test_limit_of_connections(asgid):
    """Above it, accepting pauses: the kernel queues."""
    d = asgid("conns", "-o", "limits.connections=2")
    a, b = d.connect(), d.connect()
    assert a.request("GET", "/fast/a").text == "/fast/a"
    assert b.request("GET", "/fast/b").text == "/fast/b"
    c = d.connect()
    c.send(get("/fast/c"))
    e = d.connect()
    e.send(get("/fast/e"))
    assert c.quiet(0.1) and e.quiet(0)
    assert a.request("GET", "/fast/a").text == "/fast/a"
    a.close()
    assert c.response().text == "/fast/c"
    assert e.quiet(0.05)
    c.close()
    assert e.response().text == "/fast/e"
    e.close()
    b.close()
    for _ in range(50):
        with d.connect() as x:
            assert x.request("GET", "/fast").status == 200


def test_limit_of_connections_and_idle_processor(asgid):
    """Waiting for a free place costs nothing."""
    d = asgid("conns", "-o", "limits.connections=1")
    a = d.connect()
    a.request("GET", "/fast")
    c = d.connect()
    c.send(get("/fast"))
    used = cpu(d.worker)
    assert c.quiet(0.5)
    assert cpu(d.worker) - used < 0.1
    a.close()
    assert c.response().status == 200


def in_flight(d):
    """A request that is, until one more byte is sent."""
    c = d.connect()
    c.send(b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n")
    return c


def test_limit_of_concurrency(asgid):
    d = asgid("conns", "--limit-concurrency", "1", "-o", "log.format=uvicorn")
    idle = [d.connect() for _ in range(5)]
    for c in idle:
        assert c.request("GET", "/fast").status == 200
    a = in_flight(d)
    poll(lambda: d.get("/fast").status == 503, "never refused")
    c = d.connect()
    r = c.request("GET", "/fast")
    assert r.status == 503
    assert r.get("retry-after") == "1"
    a.send(b"x")
    assert a.response().text == "1"
    d.wait_access("GET /fast HTTP/1.1\" 503 Service Unavailable")
    assert d.get("/fast").status == 200


def test_limit_of_concurrency_counts_back(asgid, tmp_path):
    """Neither failures nor leaving clients use it up."""
    path = tmp_path / "control"
    d = asgid("conns", "--limit-concurrency", "2", "-o",
              "control.socket=%s" % path)
    for i in range(20):
        c = d.connect()
        c.send(get("/slow/5"))
        c.close()
        c = d.connect()
        c.send(b"garbage\r\n\r\n")
        c.close()
    poll(lambda: d.get("/fast").status == 200, "used up")
    with Control(path) as control:
        poll(lambda: '"in_flight":0' in control.ask("workers --json")[1],
             "at rest")
    # exactly two
    a, b = in_flight(d), in_flight(d)
    poll(lambda: d.get("/fast").status == 503, "never refused")
    a.send(b"x")
    b.send(b"x")
    assert a.response().text == b.response().text == "1"


# ---- clients that leave

def test_task_is_not_cancelled(asgid):
    d = asgid("conns", "-o", "timeouts.graceful=300ms")
    c = d.connect()
    c.send(get("/cancel"))
    wait_journal(d, lambda j: j == ["in"])
    c.close()
    for _ in range(20):
        d.get("/fast")
    assert journal(d) == ["in"]
    d.check_fds = False         # the connection lives as long as the task
    d.allow("[Cc]ancel", "graceful")


def test_leaving_clients_leave_nothing(asgid):
    d = asgid("conns", "-o", "timeouts.header=60s", "-o",
              "timeouts.keep_alive=60s", "-o", "timeouts.body=60s")
    raws = [get("/fast"), get("/slow/3"), get("/stream"), get("/body"),
            get("/stream")[:30], b"garbage\r\n\r\n",
            b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\na"]
    for before in (False, True):
        for raw in raws:
            for how in ("close", "abort"):
                for _ in range(30):
                    c = d.connect()
                    if before:
                        assert c.request("GET", "/fast").status == 200
                    c.send(raw)
                    getattr(c, how)()
                pid = d.worker

                def left():
                    return len(descriptors(pid)) - len(d.baseline[pid])
                poll(lambda: left() == 0, lambda: (
                    "%d connections left after %r, %s, %s" % (
                        left(), raw, how,
                        "keep-alive" if before else "first")))
    assert d.get("/fast").status == 200


def test_many_connections_at_once(asgid):
    d = asgid("conns")
    conns = [d.connect() for _ in range(300)]
    for i, c in enumerate(conns):
        c.send(get("/slow/20/%d" % i))
    for i, c in enumerate(conns):
        assert c.response().text == "/slow/20/%d" % i
    for i, c in enumerate(conns):
        c.send(get("/fast/%d" % i))
    for i, c in enumerate(reversed(conns)):
        assert c.response().text == "/fast/%d" % (299 - i)


def test_upload_by_a_client_that_closes_its_half(asgid):
    """Its end may be seen before the last of the body is read."""
    d = asgid("streams")
    body = bytes(60000)
    for _ in range(100):
        with d.connect() as c:
            c.send(b"POST /echo HTTP/1.1\r\nHost: t\r\n"
                   b"Content-Length: %d\r\n\r\n" % len(body) +
                   body[:30000])
            c.send(body[30000:])
            c.shutdown()
            assert c.response("POST").body == body
