# SPDX-License-Identifier: BSD-3-Clause
"""receive() and send() as the application meets them."""
import ast
import json

import pytest

from harness import Truncated, get, poll

SHARED = ("sends", "-o", "log.format=uvicorn")


def journal(d):
    return ast.literal_eval(d.get("/journal").text)


def wait_journal(d, condition):
    def check():
        j = journal(d)
        return j if condition(j) else None
    return poll(check, lambda: "journal: %r" % journal(d))


# ---- receive()

def test_messages(asgid):
    d = asgid("receives")
    c = d.connect()
    empty = [{"type": "http.request", "body": b"", "more_body": False}]
    assert ast.literal_eval(c.request("GET", "/messages").text) == empty
    assert ast.literal_eval(c.request("POST", "/messages",
                                      body=b"").text) == empty
    for body in (b"x", b"y" * 10000):
        got = ast.literal_eval(c.request("POST", "/messages",
                                         body=body).text)
        assert b"".join(m["body"] for m in got) == body
        assert [m["more_body"] for m in got] == \
            [True] * (len(got) - 1) + [False]
        assert {m["type"] for m in got} == {"http.request"}
    # a small body that came with its head is one message
    assert ast.literal_eval(c.request("POST", "/messages", body=b"x").text) \
        == [{"type": "http.request", "body": b"x", "more_body": False}]


def test_pieces_come_as_they_arrive(asgid):
    d = asgid("receives")
    c = d.connect()
    c.send(b"POST /messages HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\n")
    for part in (b"ab", b"cd", b"ef"):
        c.consumed()
        c.send(part)
    got = ast.literal_eval(c.response().text)
    assert b"".join(m["body"] for m in got) == b"abcdef"
    assert len(got) > 1


def test_receive_blocks_after_the_body(asgid):
    d = asgid("receives")
    c = d.connect()
    assert c.request("POST", "/after", body=b"abc").text == "done"
    wait_journal(d, lambda j: j == [
        "blocks", {"type": "http.disconnect"}, {"type": "http.disconnect"}])
    assert c.request("GET", "/journal").status == 200


def test_cancelled_receive_loses_nothing(asgid):
    d = asgid("receives")
    c = d.connect()
    c.send(b"POST /patient HTTP/1.1\r\nHost: t\r\n"
           b"Transfer-Encoding: chunked\r\n\r\n")
    for i in range(6):
        n = len(journal(d))
        wait_journal(d, lambda j: len(j) > n)
        c.send(b"2\r\n%02d\r\n" % i)
    c.send(b"0\r\n\r\n")
    assert c.response().text == repr((True, b"000102030405"))


@pytest.mark.parametrize("leave", ["close", "abort"])
@pytest.mark.parametrize("how", ["disconnect", "work", "two"])
def test_disconnect_is_told(asgid, how, leave):
    d = asgid("receives")
    for body in (None, b"abc"):
        c = d.connect()
        c.send(get("/" + how) if body is None else
               b"POST /%s HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
               % how.encode())
        wait_journal(d, lambda j: j == ["waiting"])
        getattr(c, leave)()
        want = {"disconnect": ["waiting", "http.disconnect",
                               "http.disconnect", "OSError"],
                "work": ["waiting", "http.disconnect"],
                "two": ["waiting", "http.disconnect", "http.disconnect"]}
        wait_journal(d, lambda j: j == want[how])
        d.get("/clear")


def test_disconnect_on_a_unix_socket(asgid, tmp_path):
    path = str(tmp_path / "a.sock")
    d = asgid("receives", "--uds", path, listen=False)
    c = d.connect(address=path)
    c.send(get("/disconnect"))
    d.unix = path
    wait_journal(d, lambda j: j == ["waiting"])
    c.close()
    wait_journal(d, lambda j: j[1:] == ["http.disconnect", "http.disconnect",
                                        "OSError"])


def test_oserror_that_escapes_is_no_error(asgid):
    d = asgid("receives", "--log-level", "debug")
    c = d.connect()
    c.send(get("/escape"))
    wait_journal(d, lambda j: j == ["waiting"])
    c.close()
    wait_journal(d, lambda j: j == ["waiting", "gone"])
    assert d.get("/messages").status == 200
    assert not [r for r in d.records() if "Traceback" in r[1]
                and r[0] in ("ERROR", "WARNING", "INFO")]


@pytest.mark.parametrize("leave", ["close", "abort"])
def test_disconnect_while_streaming(asgid, leave):
    d = asgid("receives")
    c = d.connect()
    c.send(get("/stream"))
    c.until(lambda b: len(b) > 500)
    getattr(c, leave)()
    wait_journal(d, lambda j: sorted(j) == ["OSError", "disconnect"])


def test_disconnect_in_the_body(asgid):
    d = asgid("receives")
    c = d.connect()
    c.send(b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc")
    wait_journal(d, lambda j: [m[1] for m in j if m[1]] == [b"abc"])
    c.close()
    wait_journal(d, lambda j: j[-1] == ("http.disconnect", None, None))


# ---- send(): wrong messages

BAD_WORDS = {       # what the text must speak of
    "body-first": "http.response.body", "unknown-type": "http.nonsense",
    "websocket": "websocket.accept"}
BAD = ["body-first", "unknown-type", "websocket", "no-type", "not-a-dict",
       "none", "no-status", "status-str", "status-99", "status-600",
       "status-100", "status-101", "status-199", "status-negative",
       "status-huge", "name-str", "value-str", "value-none", "name-space",
       "name-colon", "name-empty", "name-nul", "name-crlf", "name-obs",
       "value-cr", "value-lf", "value-crlf", "value-nul", "value-ctl",
       "value-del", "pair-short", "pair-long", "headers-int", "length-word",
       "length-signed", "length-two"]


@pytest.mark.parametrize("name", BAD)
def test_bad_message_raises(shared, name):
    """A clear exception in the application, which may go on."""
    c = shared.connect()
    r = c.request("GET", "/bad/" + name)
    assert r.status == 200, r
    kind, text = json.loads(r.text)
    assert kind in ("RuntimeError", "TypeError", "ValueError", "KeyError",
                    "OverflowError"), kind
    assert len(text) > 8, text
    assert BAD_WORDS.get(name, "") in text, text
    assert c.request("GET", "/journal").status == 200


def test_bad_message_becomes_a_500(asgid):
    d = asgid("sends")
    wrong = []
    for name in BAD:
        r = d.get("/escapes/" + name)
        if (r.status, r.body) != (500, b"Internal Server Error"):
            wrong.append((name, r))
        d.expect(r"/escapes/%s.*Traceback" % name)
    assert not wrong
    assert d.get("/journal").text == "[]"


@pytest.mark.parametrize("name", ["str", "int", "list", "start",
                                  "unknown-type"])
def test_bad_body_message(shared, name):
    c = shared.connect()
    r = c.request("GET", "/badbody/" + name)
    assert r.status == 200, r
    kind, text = json.loads(r.text)
    assert kind in ("RuntimeError", "TypeError", "ValueError"), kind
    assert c.request("GET", "/journal").status == 200


@pytest.mark.parametrize("name", ["str", "start"])
def test_bad_body_message_before_anything_was_sent(asgid, name):
    """http.response.start alone sends nothing: still a 500."""
    d = asgid("sends")
    r = d.get("/badbodyescapes/" + name)
    assert r.status == 500 and r.body == b"Internal Server Error"
    d.expect(r"Traceback")


def test_send_after_the_end(asgid):
    d = asgid("sends")
    c = d.connect()
    assert c.request("GET", "/late").text == "whole"
    j = wait_journal(d, lambda j: len(j) == 3)
    assert [x[0] for x in j] == ["RuntimeError"] * 3, j
    assert c.request("GET", "/journal").status == 200


# ---- send(): bodies

def test_body_types(shared):
    r = shared.get("/types")
    assert r.text == "bytes,bytearray,memoryview,strided,"
    for kind in ("bytes", "bytearray", "memoryview"):
        r = shared.get("/onetype/" + kind)
        assert r.text == "in one piece"
        assert r.get("content-length") == "12"


def test_bodies_are_taken_as_they_were(shared):
    c = shared.connect(rcvbuf=4096)
    r = c.request("GET", "/mutate")
    assert r.body == b"A" * 200000 + b"B" * 200000
    c = shared.connect(rcvbuf=4096)
    r = c.request("GET", "/mutatelast")
    assert r.body == b"A" * 300000


def test_no_body(shared):
    r = shared.get("/empty")
    assert r.status == 200 and r.body == b""
    assert r.get("content-length") == "0"


# ---- send(): headers

@pytest.mark.parametrize("kind", ["generator", "lists", "tuple"])
def test_header_containers(shared, kind):
    r = shared.get("/headers/" + kind)
    assert [h for h in r.headers if h[0].startswith(b"x-")] == [
        (b"x-0", b"0"), (b"x-1", b"1"), (b"x-2", b"2")]


def test_headers_missing(shared):
    r = shared.get("/headers/missing")
    assert r.status == 200 and r.body == b"ok"
    assert r.get("content-type") is None


def test_headers_in_order(shared):
    r = shared.get("/headers/mixed")
    ours = (b"date", b"server", b"content-length", b"connection")
    own = [(n.lower(), v) for n, v in r.headers if n.lower() not in ours]
    assert own == [
        (b"set-cookie", b"a=1"), (b"x-mid", b"m"), (b"set-cookie", b"b=2"),
        (b"x-empty", b""), (b"x-tab", b"a\tb"), (b"x-obs", b"caf\xe9"),
        (b"set-cookie", b"c=3"), (b"x-space", b"in  side")]


def test_many_and_big_headers(shared):
    c = shared.connect()
    r = c.request("GET", "/headers/many")
    assert len([h for h in r.headers if h[0].startswith(b"x-")]) == 100
    # far beyond the library's own buffers: still an answer
    r = c.request("GET", "/headers/big")
    assert r.status == 200 and len(r.get("x-big")) == 60000
    assert r.body == b"ok"


def test_date_and_server(shared):
    r = shared.get("/empty")
    assert r.get("server") == "asgid"
    import email.utils
    import time
    date = r.get("date")
    assert date.endswith(" GMT") and len(date) == 29
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() -
               time.time()) < 60


def test_own_date_and_server(shared):
    r = shared.get("/own")
    assert r.all("date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]
    assert r.all("server") == ["mine"]


def test_server_header_is_an_option(asgid):
    d = asgid("sends", "--no-server-header")
    assert d.get("/empty").all("server") == []
    assert d.get("/own").all("server") == ["mine"]
    d = asgid("sends", "-o", "server_header=else/1.0")
    assert d.get("/empty").all("server") == ["else/1.0"]
    assert d.get("/own").all("server") == ["mine"]


# ---- send(): framing

@pytest.mark.parametrize("kind,delimited", [
    ("stream", "chunked"), ("length", "length"), ("plain", "length")])
def test_own_transfer_encoding_is_ignored(shared, kind, delimited):
    c = shared.connect()
    r = c.request("GET", "/te/" + kind)
    assert r.delimited == delimited
    assert r.body in (b"onetwo", b"sized", b"plain")
    assert c.request("GET", "/empty").status == 200
    r = shared.get("/te/" + kind, version="1.0")
    assert not r.all("transfer-encoding")
    assert r.body in (b"onetwo", b"sized", b"plain")


def test_longer_than_promised(asgid):
    d = asgid("sends")
    c = d.connect()
    try:
        r = c.request("GET", "/long")
        assert r.status == 500 or r.body == b"12345", r
        assert c.closed()
    except Truncated:
        pass
    j = journal(d)
    assert j[0][0] == "RuntimeError" and "Content-Length" in j[0][1], j
    d.expect("Content-Length")
    c = d.connect()
    r = c.request("GET", "/longstream")
    assert r.body == b"12345", r
    assert c.closed()
    assert "accepted" not in journal(d)


@pytest.mark.parametrize("path", ["short", "shortone"])
def test_shorter_than_promised(asgid, path):
    d = asgid("sends")
    c = d.connect()
    c.send(get("/" + path))
    with pytest.raises(Truncated) as e:
        r = c.response()
        assert r.status != 500, r
    assert e.value.head.get("content-length") == "50"
    assert e.value.got in (b"12345678", b"12345")
    d.expect("Content-Length")


def test_exactly_as_promised(shared):
    c = shared.connect()
    for _ in range(3):
        r = c.request("GET", "/exact")
        assert r.body == b"0123456789" and r.delimited == "length"


@pytest.mark.parametrize("status", [200, 201, 299, 301, 404, 418, 451, 500,
                                    503, 599, 234])
def test_status(shared, status):
    r = shared.get("/status/%d" % status)
    assert r.status == status and r.body == b"s"


def test_status_enum(shared):
    assert shared.get("/enum").status == 418


def test_application_closes(shared):
    c = shared.connect()
    r = c.request("GET", "/close")
    assert r.text == "bye" and r.tokens("connection") == ["close"]
    assert c.closed()


def test_application_says_keep_alive(shared):
    c = shared.connect()
    for _ in range(2):
        assert c.request("GET", "/keep").text == "stay"
    r = shared.get("/keep", headers=[("Connection", "close")])
    assert r.tokens("connection") == ["close"]


def test_request_bodies_between(shared):
    c = shared.connect()
    for i in range(20):
        body = b"%d" % i * (i * 1000)
        assert ast.literal_eval(
            c.request("POST", "/post", body=body).text) == body


def test_response_splitting_is_impossible(shared):
    c = shared.connect()
    r = c.request("GET", "/bad/value-crlf")
    assert not r.all("set-cookie")
    assert c.buf == b""
