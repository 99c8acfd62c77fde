# SPDX-License-Identifier: BSD-3-Clause
"""What the two logs say, and that nobody can forge them."""
import contextlib
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from harness import APPS, SCALE, get, poll, program


def lines(d, n):
    poll(lambda: d.stdout.count("\n") >= n,
         lambda: "%d lines, not %d:\n%s" % (len(d.access), n, d.stdout))
    return d.access


def test_uvicorn_format(asgid):
    d = asgid("conns", "-o", "log.format=uvicorn")
    c = d.connect()
    c.request("GET", "/fast?x=1&y")
    c.request("POST", "/body", body=b"abc")
    c.send(get("/fast", method="HEAD"))
    c.response("HEAD")
    c.request("GET", "/stream", version="1.0")
    who = "127.0.0.1:%d" % c.local[1]
    assert lines(d, 4) == [
        'INFO:     %s - "GET /fast?x=1&y HTTP/1.1" 200 OK' % who,
        'INFO:     %s - "POST /body HTTP/1.1" 200 OK' % who,
        'INFO:     %s - "HEAD /fast HTTP/1.1" 200 OK' % who,
        'INFO:     %s - "GET /stream HTTP/1.0" 200 OK' % who]


def test_uvicorn_format_phrases(asgid):
    d = asgid("sends", "-o", "log.format=uvicorn")
    c = d.connect()
    for status in (201, 404, 418, 503):
        c.request("GET", "/status/%d" % status)
    assert [x.partition('" ')[2].lower() for x in lines(d, 4)] == [
        "201 created", "404 not found", "418 i'm a teapot",
        "503 service unavailable"]


def test_websocket_is_named(asgid):
    """Until there are WebSockets: why did the handshake end so?"""
    d = asgid("conns")
    c = d.connect()
    r = c.request("GET", "/fast", headers=[
        ("Connection", "Upgrade"), ("Upgrade", "WebSocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
    assert r.status == 200
    c.request("GET", "/fast", headers=[("Upgrade", "h2c")])
    d.wait_log("INFO: +WebSocket is not supported yet.*: GET /fast from "
               "127.0.0.1:%d" % c.local[1])
    assert d.stderr.count("WebSocket") == 1


COMBINED = re.compile(
    r'(\S+) - - \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
    r'"([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)" (\d+\.\d{6})\Z')


def test_combined_format(asgid):
    d = asgid("conns", "-o", "log.format=combined")
    c = d.connect()
    c.request("GET", "/fast/abc?q", headers=[
        ("Referer", "http://e/x"), ("User-Agent", "curl/8 (x; y)")])
    c.request("GET", "/slow/50")
    c.request("GET", "/stream")
    got = [COMBINED.match(x) for x in lines(d, 3)]
    assert all(got), d.stdout
    assert [g[1] for g in got] == ["127.0.0.1"] * 3
    assert got[0].groups()[2:7] == ("GET /fast/abc?q HTTP/1.1", "200", "9",
                                    "http://e/x", "curl/8 (x; y)")
    assert got[1].groups()[2:7] == ("GET /slow/50 HTTP/1.1", "200", "8", "-",
                                    "-")
    assert got[2][5] == "5"
    # in seconds
    assert 0.045 < float(got[1][8]) < 30
    assert float(got[0][8]) < 30
    t = time.mktime(time.strptime(got[0][2].split()[0], "%d/%b/%Y:%H:%M:%S"))
    assert abs(t - time.time()) < 300


def test_common_format(asgid):
    d = asgid("conns", "-o", "log.format=common")
    d.get("/fast")
    assert re.match(r'127\.0\.0\.1 - - \[[^]]+\] "GET /fast HTTP/1\.1" 200 '
                    r'5\Z', lines(d, 1)[0])


def test_no_access_log(asgid):
    d = asgid("conns", "--no-access-log")
    d.get("/fast")
    d.stop()
    assert d.stdout == ""


def test_access_log_file(asgid, tmp_path):
    path = tmp_path / "access.log"
    d = asgid("conns", "-o", "log.access=%s" % path, "-o",
              "log.format=common")
    for i in range(10):
        d.get("/fast/%d" % i)
    poll(lambda: len(path.read_text().splitlines()) == 10, "not ten lines")
    assert d.stdout == ""
    path.rename(tmp_path / "access.log.1")
    d.signal(10)            # SIGUSR1: reopen
    poll(path.exists, "not reopened")
    poll(lambda: d.get("/fast").status == 200 and path.read_text(),
         "nothing in the new file")


def test_error_log_file(asgid, tmp_path):
    path = tmp_path / "error.log"
    d = asgid("fails", "-o", "log.error=%s" % path, serve=False)
    poll(lambda: path.exists() and "running on" in path.read_text(),
         lambda: d.stderr)
    port = int(re.search(r"running on http://127\.0\.0\.1:(\d+)",
                         path.read_text())[1])
    c = d.connect(address=("127.0.0.1", port))
    assert c.request("GET", "/before/value").status == 500
    poll(lambda: "ValueError: from the app" in path.read_text(),
         lambda: path.read_text())
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} \S+\[\d+\]:? "
                     r"error: ", path.read_text(), re.M)


@pytest.mark.parametrize("fmt", ["uvicorn", "combined"])
def test_no_forgery(asgid, fmt):
    """One line a request, and its quotes are ours."""
    d = asgid("conns", "-o", "log.format=" + fmt)
    c = d.connect()
    raw = [
        b'GET /fast/%0d%0aINFO:%20forged HTTP/1.1\r\nHost: t\r\n\r\n',
        b'GET /fast/a"b\\c?d"e HTTP/1.1\r\nHost: t\r\n\r\n',
        b'GET /fast HTTP/1.1\r\nHost: t\r\nUser-Agent: a" 200 "b\\\r\n'
        b'Referer: caf\xe9\t\xff"\r\n\r\n',
        b'GE"T /fast HTTP/1.1\r\nHost: t\r\n\r\n',
    ]
    for r in raw[:3]:
        c.send(r)
        got = c.response()
        assert got.status in (200, 400)
        if got.status == 400:
            c = d.connect()
    c.send(raw[3])
    assert c.response().status == 400
    for junk in (b"\x1b[2J\x1b]0;title\x07\r\n\r\n",
                 b"GET /\x1b[31m HTTP/1.1\r\nHost: t\r\n\r\n",
                 b"GET /\r\nINFO: forged\r\n\r\n",
                 b"GET /\xff\xfe\x00 HTTP/1.1\r\nHost: t\r\n\r\n"):
        x = d.connect()
        x.send(junk)
        assert x.response().status in (400, 505)
    got = lines(d, 8)
    assert len(got) == 8, got
    for line in got:
        assert re.fullmatch(r"[\x20-\x7e]+", line), line
        assert line.count('"') == (2 if fmt == "uvicorn" else 6), line
        assert "forged" not in line.split('"')[0]
    # the error log neither
    assert re.fullmatch(r"[\x20-\x7e\n]*", d.stderr), d.stderr
    assert not re.search(r"^INFO: forged", d.stderr, re.M)
    if fmt == "combined":
        assert r'"a\x22 200 \x22b\x5c"' in got[2]


def test_traceback_is_whole(asgid):
    d = asgid("fails")
    assert d.get("/before/recursion").status == 500
    d.expect("RecursionError")
    d.wait_log("RecursionError: maximum recursion")
    text = [t for lv, t in d.records() if "RecursionError" in t][0]
    assert "Traceback (most recent call last):" in text
    assert "recurse" in text and "fails.py" in text


def test_application_output(asgid):
    """print, stderr and logging work as Python's own."""
    d = asgid("misc:logs")
    assert d.get("/").text == "logged"
    d.wait_log("complained by the application")
    d.wait_log("warned by the application")
    d.wait_access("printed by the application")


def test_levels(asgid, tmp_path):
    """warning: a whole life without a line."""
    path = str(tmp_path / "a.sock")
    d = asgid("conns", "--log-level", "warning", "--uds", path,
              "--no-access-log", listen=False, serve=False)

    def up():
        try:
            return d.connect(address=path)
        except OSError:
            return None
    assert poll(up, "not up").request("GET", "/fast").status == 200
    assert d.stop() == 0
    assert d.stderr == "" and d.stdout == ""


def test_start_and_stop_lines(asgid):
    d = asgid("conns")
    assert re.search(r"^INFO:     asgid running on http://127\.0\.0\.1:\d+ "
                     r"\(Press CTRL\+C to quit\)$", d.stderr, re.M)
    d.stop()
    assert not [r for r in d.records() if r[0] not in ("INFO",)]


def test_whole_log_of_a_busy_day(asgid):
    """As many lines as requests, none mixed."""
    d = asgid("conns", "-o", "log.format=uvicorn", "--workers", "2")
    for i in range(20):
        c = d.connect()
        for j in range(50):
            c.send(get("/fast/%d/%d" % (i, j)))
        for j in range(50):
            assert c.response().status == 200
        c.close()
    got = lines(d, 1000)
    paths = [re.fullmatch(r'INFO:     127\.0\.0\.1:\d+ - "GET (/fast/\d+/\d+)'
                          r' HTTP/1\.1" 200 OK', x)[1] for x in got]
    assert sorted(paths) == sorted("/fast/%d/%d" % (i, j)
                                   for i in range(20) for j in range(50))


# ---- other sinks: an application that cannot be loaded is log enough

def run_broken(*args, **kw):
    """Status of a daemon that ends by itself."""
    return subprocess.run(
        [program(), "broken_import:app", "--app-dir", str(APPS), "--port", "0",
         "-o", "control.socket=", *args], stdin=subprocess.DEVNULL, timeout=30 * SCALE, **kw).returncode


def test_journal_priorities(tmp_path):
    """Each line carries its priority when stderr is the journal."""
    path = tmp_path / "journal"
    with open(path, "w") as f:
        st = os.fstat(f.fileno())
        env = dict(os.environ,
                   JOURNAL_STREAM="%d:%d" % (st.st_dev, st.st_ino))
        assert run_broken(stderr=f, env=env) == 3
    lines = path.read_text().splitlines()
    assert lines and all(re.match("<[0-7]>", x) for x in lines), lines
    assert any(x.startswith("<6>Started asgid") for x in lines)
    assert any(x.startswith("<3>") and "Traceback" in x for x in lines)


def test_journal_of_another(tmp_path):
    """$JOURNAL_STREAM is inherited also by those with another stderr."""
    path = tmp_path / "log"
    with open(path, "w") as f:
        assert run_broken(stderr=f, env=dict(os.environ,
                                             JOURNAL_STREAM="1:2")) == 3
    assert path.read_text().startswith("INFO:     Started asgid")


@pytest.mark.skipif(os.path.exists("/dev/log") or os.geteuid() != 0,
                    reason="needs to be the syslog daemon")
def test_syslog():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind("/dev/log")
        try:
            s.setblocking(False)
            got = []

            def read():
                with contextlib.suppress(BlockingIOError):
                    while True:
                        got.append(s.recv(65536).decode())
            thread = threading.Thread(target=lambda: got.append(
                "status %d" % run_broken("-o", "log.error=syslog",
                                         stderr=subprocess.DEVNULL)))
            thread.start()
            poll(lambda: read() or "status 3" in got, "no status 3")
            thread.join()
            read()
        finally:
            os.unlink("/dev/log")
    # <facility daemon * 8 + severity>
    assert any(re.match(r"<30>.* asgid\[\d+\]: Started asgid", x)
               for x in got), got
    assert any(re.match(r"<27>.* asgid-worker\[\d+\]: .*Error", x)
               for x in got), got


@pytest.mark.skipif(os.path.exists("/dev/log") or os.geteuid() != 0,
                    reason="needs to be the syslog daemon")
def test_syslog_that_is_not_read():
    """Its queue is full: lines are dropped, nothing waits."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s, \
            contextlib.ExitStack() as others:
        s.bind("/dev/log")
        try:
            # one message a sender, until the daemon's own bound is met
            with contextlib.suppress(BlockingIOError):
                while True:
                    c = others.enter_context(
                        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                    c.setblocking(False)
                    c.connect("/dev/log")
                    c.send(b"<30>full")
            assert run_broken("-o", "log.error=syslog",
                              stderr=subprocess.DEVNULL) == 3
        finally:
            os.unlink("/dev/log")
