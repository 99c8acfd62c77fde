# SPDX-License-Identifier: BSD-3-Clause
"""What the application's scope says of a request."""
import ast
import socket

import pytest

from harness import get

SHARED = ("scope",)

KEYS = {"type", "asgi", "http_version", "method", "scheme", "path",
        "raw_path", "query_string", "root_path", "headers", "client",
        "server", "state"}
EXTENSIONS = {"http.response.pathsend", "http.response.early_hint",
              "http.response.trailers", "http.response.zerocopysend",
              "http.response.debug", "http.response.push", "tls"}


def scope_of(conn, raw):
    conn.send(raw)
    r = conn.response()
    assert r.status == 200, r
    return ast.literal_eval(r.text)


def test_keys_and_types(shared):
    c = shared.connect()
    s = scope_of(c, get("/a?b=c"))
    assert set(s) - {"types", "header_types", "extensions"} == KEYS
    assert s["type"] == "http"
    assert s["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert s["http_version"] == "1.1"
    assert s["method"] == "GET"
    assert s["scheme"] == "http"
    assert s["path"] == "/a"
    assert s["raw_path"] == b"/a"
    assert s["query_string"] == b"b=c"
    assert s["root_path"] == ""
    assert s["headers"] == [(b"host", b"t")]
    assert s["client"] == ("127.0.0.1", c.local[1])
    assert s["server"] == ("127.0.0.1", shared.port)
    assert s["state"] == {"shared": [], "top": 1} or s["state"]["top"] == 1
    assert s["types"] == dict(
        s["types"], type="str", asgi="dict", http_version="str",
        method="str", scheme="str", path="str", raw_path="bytes",
        query_string="bytes", root_path="str", headers="list",
        client="tuple", server="tuple", state="dict")
    assert s["header_types"] == ["tuple"]
    assert set(s.get("extensions") or {}) <= EXTENSIONS


def test_headers_as_on_the_wire(shared):
    raw = (b"GET / HTTP/1.1\r\nX-One: 1\r\nhOST: h\r\nX-Two:2\r\n"
           b"x-one:   spaces   \r\nCookie: a=b\r\nX-Tab:\ttab\there\t \r\n"
           b"cookie: c=d\r\nX-Empty:\r\nX-Blank:   \r\n"
           b"X-Obs: caf\xe9 \xff\r\nx_under.score!#$%&'*+-^`|~: ok\r\n"
           b"x-quote: \"a, b\\\"\r\n\r\n")
    s = scope_of(shared.connect(), raw)
    assert s["headers"] == [
        (b"x-one", b"1"), (b"host", b"h"), (b"x-two", b"2"),
        (b"x-one", b"spaces"), (b"cookie", b"a=b"), (b"x-tab", b"tab\there"),
        (b"cookie", b"c=d"), (b"x-empty", b""), (b"x-blank", b""),
        (b"x-obs", b"caf\xe9 \xff"), (b"x_under.score!#$%&'*+-^`|~", b"ok"),
        (b"x-quote", b'"a, b\\"')]


def test_headers_in_pieces(shared):
    c = shared.connect()
    raw = get("/pieces?x", "X-A:  1 ", "X-B: 2", "Cookie: a")
    c.send_pieces(raw, 1)
    s = ast.literal_eval(c.response().text)
    assert s["headers"] == [(b"host", b"t"), (b"x-a", b"1"), (b"x-b", b"2"),
                            (b"cookie", b"a")]
    assert (s["path"], s["query_string"]) == ("/pieces", b"x")


@pytest.mark.parametrize("n", [1, 50, 98])
def test_many_headers(shared, n):
    h = [b"x-%d: v%d" % (i, i) for i in range(n)]
    s = scope_of(shared.connect(), b"GET / HTTP/1.1\r\nhost: t\r\n" +
                 b"\r\n".join(h) + b"\r\n\r\n")
    assert s["headers"][1:] == [(b"x-%d" % i, b"v%d" % i) for i in range(n)]


@pytest.mark.parametrize("target,path,raw,query", [
    ("/", "/", b"/", b""),
    ("/?", "/", b"/", b""),
    ("/a%20b", "/a b", b"/a%20b", b""),
    ("/%E2%82%AC/%c3%a9", "/\u20ac/\u00e9", b"/%E2%82%AC/%c3%a9", b""),
    ("/%ff%fe", "/\ufffd\ufffd", b"/%ff%fe", b""),
    ("/%e2%82", "/\ufffd", b"/%e2%82", b""),
    ("/%ed%a0%80", "/\ufffd\ufffd\ufffd", b"/%ed%a0%80", b""),
    ("/a%2Fb", "/a/b", b"/a%2Fb", b""),
    ("/%zz%4%", "/%zz%4%", b"/%zz%4%", b""),
    ("/%00x", "/\0x", b"/%00x", b""),
    ("/%25%32%35", "/%25", b"/%25%32%35", b""),
    ("//a/./../b//", "//a/./../b//", b"//a/./../b//", b""),
    ("/a+b;c=d", "/a+b;c=d", b"/a+b;c=d", b""),
    ("/a?b?c=%20&d=%zz&&=", "/a", b"/a", b"b?c=%20&d=%zz&&="),
    ("/?q=/x/../y%2f%00", "/", b"/", b"q=/x/../y%2f%00"),
    ("/a:b@c!$&'()*,~", "/a:b@c!$&'()*,~", b"/a:b@c!$&'()*,~", b""),
    ("/?" + "&".join("a%d=%d" % (i, i) for i in range(1000)), "/", b"/",
     b"&".join(b"a%d=%d" % (i, i) for i in range(1000))),
    ("/%3F%23", "/?#", b"/%3F%23", b""),
])
def test_target(shared, target, path, raw, query):
    s = scope_of(shared.connect(), get(target))
    assert (s["path"], s["raw_path"], s["query_string"]) == (path, raw, query)


@pytest.mark.parametrize("target,path,query", [
    ("http://other.example:81/p/q?r", "/p/q", b"r"),
    ("HTTP://h/p", "/p", b""),
    ("https://h/p", "/p", b""),
    ("http://[::1]:80/", "/", b""),
    ("http://h", "/", b""),
    ("http://h?x=1", "/", b"x=1"),
])
def test_absolute_form(shared, target, path, query):
    s = scope_of(shared.connect(), get(target))
    assert (s["path"], s["query_string"]) == (path, query)
    assert s["headers"] == [(b"host", b"t")]
    assert s["server"] == ("127.0.0.1", shared.port)
    assert s["scheme"] == "http"


def test_options_asterisk(shared):
    s = scope_of(shared.connect(), get("*", method="OPTIONS"))
    assert (s["method"], s["path"], s["raw_path"]) == ("OPTIONS", "*", b"*")


@pytest.mark.parametrize("method", [
    "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE",
    "QUERY", "PROPFIND", "MKCOL", "get", "Gx", "M-SEARCH", "!#$%&'*+-.^_`|~"])
def test_any_method(shared, method):
    s = scope_of(shared.connect(), get("/", method=method))
    assert s["method"] == method


def test_http_1_0(shared):
    s = scope_of(shared.connect(), b"GET /x?y HTTP/1.0\r\n\r\n")
    assert s["http_version"] == "1.0"
    assert s["headers"] == []
    assert (s["path"], s["query_string"]) == ("/x", b"y")


def test_one_leading_empty_line(shared):
    """Some clients send a CRLF after a body; RFC 9112 2.2 wants it skipped."""
    c = shared.connect()
    c.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nab\r\n" +
           get("/second"))
    assert c.response().status == 200
    assert ast.literal_eval(c.response().text)["path"] == "/second"


def test_state_is_a_copy_per_request(shared):
    c = shared.connect()
    before = scope_of(c, get("/x"))["state"]
    assert before["top"] == 1
    one = scope_of(c, get("/state"))["state"]
    two = scope_of(c, get("/state"))["state"]
    assert one["top"] == two["top"] == 1
    n = len(before["shared"])
    assert (len(one["shared"]), len(two["shared"])) == (n, n + 1)


def test_changed_scopes_do_not_last(shared):
    c = shared.connect()
    first = scope_of(c, get("/y"))
    scope_of(c, get("/state"))
    second = scope_of(c, get("/y"))
    first["state"] = second["state"] = None
    assert first == second


def test_root_path(asgid):
    d = asgid("scope", "--root-path", "/api")
    s = scope_of(d.connect(), get("/a%20b?c"))
    assert s["root_path"] == "/api"
    assert s["path"] == "/api/a b"
    assert s["raw_path"] == b"/api/a%20b"
    d.wait_access(r"/api/a%20b\?c")


def test_unix_socket(asgid, tmp_path):
    path = str(tmp_path / "a.sock")
    d = asgid("scope", "--uds", path, listen=False)
    s = scope_of(d.connect(address=path), get("/"))
    assert s["client"] is None
    assert s["server"] == (path, None)


def test_ipv6(asgid):
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    d = asgid("scope", host="::1")
    c = d.connect()
    s = scope_of(c, get("/"))
    assert s["client"] == ("::1", c.local[1])
    assert s["server"] == ("::1", d.port)


def test_no_lifespan_no_state(asgid):
    d = asgid("scope", "--lifespan", "off")
    s = scope_of(d.connect(), get("/"))
    assert s["state"] == {}


def test_extensions_work(asgid):
    """Every extension that is listed does what it promises."""
    d = asgid("extensions")
    s = asgid("scope")
    offered = set(scope_of(s.connect(), get("/")).get("extensions") or {})
    for name in EXTENSIONS:
        with d.connect() as c:
            c.send(get("/" + name))
            if name not in offered:
                assert c.response().status == 404
            elif name == "http.response.pathsend":
                assert b"def gate(" in c.response().body
            elif name == "http.response.early_hint":
                r = c.response()
                assert [i.status for i in r.interim] == [103]
                assert r.interim[0].all("link") == [
                    "</a.css>; rel=preload; as=style"]
                assert r.body == b"after the hint"
            elif name == "http.response.trailers":
                c.until(lambda b: b.endswith(b"0\r\nx-sum: 1\r\n\r\n"))
            else:
                raise AssertionError("nobody tests " + name)
