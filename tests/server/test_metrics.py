# SPDX-License-Identifier: BSD-3-Clause
"""What is counted, as the metrics listener tells it."""

import re
import signal
import socket

import pytest

from harness import DEADLINE, get, poll

SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LONG = 0.3


class Metrics:
    """A daemon with its metrics."""

    def __init__(self, asgid, *args, **kw):
        self.d = asgid("stats", "-o", "metrics.listen=127.0.0.1:0", *args,
                       **kw)
        m = self.d.wait_log(r"Metrics on http://127\.0\.0\.1:(\d+)/metrics")
        self.address = ("127.0.0.1", int(m[1]))

    def request(self, method="GET", target="/metrics", **kw):
        with self.d.connect(address=self.address) as c:
            return c.request(method, target, **kw)

    def all(self):
        """{(name, label, ..): value}"""
        out = {}
        for line in self.request().text.splitlines():
            if not line.startswith("#"):
                name, labels, value = SAMPLE.fullmatch(line).groups()
                values = re.findall(r'"([^"]*)"', labels or "")
                assert name.startswith("asgid_")
                out[(name[6:], *values)] = float(value)
        return out

    def get(self, name, *labels):
        return self.all()[(name, *labels)]

    def becomes(self, value, name, *labels):
        """What a worker does after its answer takes a moment."""
        poll(lambda: self.get(name, *labels) == value, lambda: "%s%r: %r" % (
            name, labels, self.get(name, *labels)))

    def gone(self):
        """No request, no connection."""
        for state in "active", "idle":
            self.becomes(0, "connections", state)
        assert self.get("requests_in_flight") == 0


@pytest.fixture
def metrics(asgid):
    return Metrics(asgid)


def test_nothing_yet(metrics):
    m = metrics.all()
    assert m["requests_total",] == m["received_bytes_total",] == 0
    assert m["connections", "idle"] == 0
    assert m["worker_starts_total",] == 1
    assert m["workers_wanted",] == m["workers_serving",] == 1
    assert m["worker_requests_in_flight", "1"] == 0
    assert m["worker_memory_bytes", "1"] > 1e6
    assert 0 < m["worker_cpu_seconds", "1"] < 60
    assert 0 < m["uptime_seconds",] < 600
    assert sum(v for k, v in m.items() if k[0] == "errors_total") == 0


def test_requests_and_responses(metrics):
    d = metrics.d
    for status in (200, 204, 301, 302, 304, 404, 500, 503, 599):
        assert d.get("/status/%d" % status).status == status
    with d.connect() as c:
        for _ in range(10):
            assert c.request("GET", "/").status == 200
    metrics.becomes(19, "requests_total")
    metrics.gone()
    m = metrics.all()
    assert [m["responses_total", "%dxx" % n] for n in range(1, 6)] == \
        [0, 12, 3, 1, 3]
    assert m["connections_accepted_total",] == 10
    assert m["application_seconds_count",] == 19
    assert m["request_seconds_count",] == 19
    assert m["application_seconds_bucket", "+Inf"] == 19
    assert m["application_seconds_sum",] < m["request_seconds_sum",]
    assert m["pool_gets_total", "cycles", "hit"] + \
        m["pool_gets_total", "cycles", "miss"] == 19
    assert m["pool_gets_total", "cycles", "hit"] >= 10
    assert m["pool_in_use", "cycles"] == 0
    assert m["pool_peak", "cycles"] >= 1
    assert m["date_gets_total", "hit"] + m["date_gets_total", "miss"] == 19
    assert m["loop_turn_seconds_count",] > 10


def test_continue_is_a_response(metrics):
    with metrics.d.connect() as c:
        c.send(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
               b"Expect: 100-continue\r\n\r\n")
        assert c.head().status == 100
        c.send(b"abc")
        assert c.response().status == 200
    metrics.becomes(1, "responses_total", "2xx")
    assert metrics.get("responses_total", "1xx") == 1


class Meter:
    """A client that knows how much it has said and heard."""

    def __init__(self, d):
        self.d, self.said, self.heard = d, 0, 0

    def __call__(self, *pieces, end=True):
        with socket.create_connection((self.d.host, self.d.port)) as s:
            s.settimeout(DEADLINE)
            for p in pieces:
                s.sendall(p)
                self.said += len(p)
            if end:
                s.shutdown(socket.SHUT_WR)
            text = b""
            while data := s.recv(65536):
                text += data
            self.heard += len(text)
            return text


CLOSE = b"HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


def test_bytes_are_exact(asgid):
    """Whichever way they go: small and large, sized and chunked, refused,
    and past the library."""
    metrics = Metrics(asgid, "-o", "limits.body_size=10000")
    meter = Meter(metrics.d)
    assert b"done" in meter(b"GET / " + CLOSE + b"\r\n")
    assert b"done" in meter(b"GET / " + CLOSE + b"\r\n", end=False)
    assert len(meter(b"GET /big?3000000 " + CLOSE + b"\r\n")) > 3000000
    assert b"0\r\n\r\n" in meter(b"GET /chunks " + CLOSE + b"\r\n", end=False)
    assert b"done" in meter(b"POST /body " + CLOSE +
                            b"Content-Length: 9000\r\n\r\n", bytes(9000))
    assert b"200 OK" in meter(
        b"POST /body " + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n",
        b"5\r\nabcde\r\n0\r\n\r\n", end=False)
    # answered before the body has ended
    assert b"done" in meter(b"POST / HTTP/1.1\r\nHost: x\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
                            end=False)
    assert b" 413 " in meter(b"POST / " + CLOSE +
                             b"Content-Length: 10001\r\n\r\n")
    assert b" 400 " in meter(b"GET / HTTP/1.1\r\n\r\n")
    assert b" 400 " in meter(b"\x16\x03\x01\x02\x00\x01\x00")
    assert meter(b"HEAD / " + CLOSE + b"\r\n").endswith(b"\r\n\r\n")
    metrics.gone()
    metrics.becomes(meter.said, "received_bytes_total")
    metrics.becomes(meter.heard, "sent_bytes_total")
    assert metrics.get("errors_total", "aborted") == 0


def test_connections_by_state(metrics):
    idle = [metrics.d.connect() for _ in range(3)]
    busy = metrics.d.connect()
    busy.send(get("/wait"))
    metrics.becomes(1, "connections", "active")
    metrics.becomes(3, "connections", "idle")
    m = metrics.all()
    assert m["requests_in_flight",] == 1
    assert m["worker_requests_in_flight", "1"] == 1
    assert m["worker_connections", "1"] == 4
    assert idle[0].request("GET", "/").status == 200
    metrics.becomes(3, "connections", "idle")
    for c in idle + [busy]:
        c.close()
    metrics.gone()


def errors(metrics):
    return {k[1]: v for k, v in metrics.all().items()
            if k[0] == "errors_total" and v}


def test_malformed_requests_are_errors(metrics):
    for head in (b"GET / HTTP/1.1\r\n\r\n", b"GET\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: z\r\n\r\n"):
        with metrics.d.connect() as c:
            c.send(head)
            assert c.response().status == 400
    metrics.gone()
    assert errors(metrics) == {"parse": 3}
    assert metrics.get("responses_total", "4xx") == 3
    assert metrics.get("requests_total") == 0


def test_limits_are_errors(asgid):
    metrics = Metrics(asgid, "-o", "limits.body_size=10", "-o",
                      "limits.concurrency=1")
    d = metrics.d
    assert d.request("POST", "/", body=bytes(11)).status == 413
    assert d.get("/" + "x" * 100000).status in (414, 431)
    with d.connect() as c:
        c.send(b"POST /body HTTP/1.1\r\nHost: x\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n14\r\n" + bytes(20) +
               b"\r\n")
        assert c.response().status == 413
    metrics.gone()
    assert errors(metrics)["limit"] == 3
    with d.connect() as c:
        c.send(get("/wait"))
        metrics.becomes(1, "requests_in_flight")
        assert d.get("/").status == 503
        assert errors(metrics)["limit"] == 4
        c.close()
    metrics.gone()


def test_slow_clients_are_errors(asgid):
    metrics = Metrics(asgid, "-o", "timeouts.header=100ms", "-o",
                      "timeouts.body=100ms", "-o", "timeouts.keep_alive=60s")
    with metrics.d.connect() as c:
        c.send(b"GET / HT")
        assert c.response().status == 408
    metrics.becomes(1, "errors_total", "timeout")
    with metrics.d.connect() as c:
        c.send(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        assert c.response().status == 408
    metrics.gone()
    assert metrics.get("errors_total", "timeout") == 2
    assert metrics.get("responses_total", "4xx") == 2


def test_failures_of_the_application_are_errors(metrics):
    metrics.d.expect("Exception in ASGI application", "without starting")
    assert metrics.d.get("/raise").status == 500
    assert metrics.d.get("/nothing").status == 500
    metrics.gone()
    assert errors(metrics) == {"application": 2}
    assert metrics.get("responses_total", "5xx") == 2


@pytest.mark.parametrize("how", ["close", "abort"])
def test_clients_that_leave_are_errors(metrics, how):
    c = metrics.d.connect()
    c.send(get("/wait"))
    metrics.becomes(1, "requests_in_flight")
    c.head()
    getattr(c, how)()
    metrics.gone()
    metrics.becomes(1, "application_seconds_count")
    assert errors(metrics) == {"aborted": 1}
    # one who hears all and leaves is not
    assert metrics.d.get("/").status == 200
    metrics.gone()
    assert errors(metrics) == {"aborted": 1}


def bucket(m, family, seconds):
    return m[family + "_seconds_bucket", "%g" % seconds]


def test_times(metrics):
    """Waiting is the application's and the request's time, blocking is also
    the loop's."""
    def long_turns():
        m = metrics.all()
        return m["loop_turn_seconds_count",] - bucket(m, "loop_turn", 0.25)
    assert metrics.d.get("/sleep?%g" % LONG).status == 200
    metrics.gone()
    m = metrics.all()
    for family in "application", "request":
        assert bucket(m, family, 0.25) == 0
        assert LONG <= m[family + "_seconds_sum",] < 60
    turns = long_turns()        # none, if nobody else was busy
    assert metrics.d.get("/block?%g" % LONG).status == 200
    metrics.gone()
    m = metrics.all()
    assert bucket(m, "application", 0.25) == 0
    assert m["application_seconds_count",] == 2
    poll(lambda: long_turns() > turns, "no long turn")
    assert metrics.get("loop_turn_seconds_sum") >= LONG


def test_while_a_worker_hangs(metrics):
    c = metrics.d.connect()
    c.send(get("/block?600"))
    poll(lambda: metrics.get("worker_busy_seconds", "1") > 0.1,
         "not seen as busy")
    m = metrics.all()
    assert m["requests_in_flight",] == m["connections", "active"] == 1
    assert "in flight    1" in metrics.request("GET", "/").text
    metrics.d.check_fds = False
    metrics.d.signal(signal.SIGKILL, metrics.d.worker)
    metrics.d.allow("Worker process .* died")
    metrics.becomes(2, "worker_starts_total")


def test_idle_is_not_busy(metrics):
    assert metrics.d.get("/").status == 200
    metrics.becomes(0, "worker_busy_seconds", "1")


def test_totals_survive_a_worker(metrics):
    d = metrics.d
    for _ in range(5):
        assert d.get("/").status == 200
    metrics.gone()
    before = metrics.all()
    d.check_fds = False
    d.allow("Worker process .* died")
    with d.connect() as c:
        c.send(get("/die"))
        c.closed()
    metrics.becomes(2, "worker_starts_total")
    metrics.becomes(1, "workers_serving")
    after = metrics.all()
    for key, value in before.items():
        if key[0].endswith(("_total", "_count", "_sum", "_bucket")):
            assert after[key] >= value, key
    assert after["requests_total",] == 6
    assert after["requests_in_flight",] == 0
    assert after["connections", "active"] == 0
    assert sum(v for k, v in after.items()
               if k[0] == "worker_exits_total") == 1
    assert d.get("/").status == 200
    metrics.becomes(7, "requests_total")


def test_totals_survive_a_reload(metrics):
    d = metrics.d
    for _ in range(3):
        assert d.get("/").status == 200
    metrics.gone()
    d.check_fds = False
    d.signal(signal.SIGHUP)
    metrics.becomes(2, "generation")
    metrics.becomes(1, "worker_exits_total", "reload")
    assert metrics.get("requests_total") == 3
    assert d.get("/").status == 200
    metrics.becomes(4, "requests_total")
    assert metrics.get("reloads_total", "ok") == 1


def test_pages(metrics):
    r = metrics.request("GET", "/")
    assert r.status == 200 and "<pre>" in r.text and "p99.9" in r.text
    assert r.get("content-type") == "text/html; charset=utf-8"
    r = metrics.request("GET", "/metrics", headers=[
        ("Accept", "application/openmetrics-text; version=1.0.0")])
    assert r.get("content-type").startswith("application/openmetrics-text")
    assert r.text.endswith("# EOF\n")
    r = metrics.request()
    assert r.get("content-type").startswith("text/plain; version=0.0.4")
    assert metrics.request("HEAD", "/metrics").raw
    assert metrics.request("GET", "/x").status == 404
    assert metrics.request("DELETE", "/metrics").status == 405
