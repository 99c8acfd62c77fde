# SPDX-License-Identifier: BSD-3-Clause
import gzip
import hashlib
import os
import random
import socket
import threading

import httpx
import pytest

from daemon import UVICORN, wait_for

APP = "starlette_app:app"


def prepare(folder):
    return {"DATA": str(folder)}


def test_hello(client):
    r = client.get("/hello", headers={"x-user": "ann"})
    assert (r.status_code, r.text) == (200, "Hello, world!")
    assert r.headers["content-type"] == "text/plain; charset=utf-8"
    assert r.headers["x-stamp"] == "ann"
    assert r.headers["content-length"] == "13"
    assert len(r.headers.get_list("date")) == 1
    assert len(r.headers.get_list("server")) == 1


def test_head_has_the_length_and_no_body(client):
    for _ in range(2):          # the second on the same connection
        r = client.head("/hello")
        assert (r.status_code, r.content) == (200, b"")
        assert r.headers["content-length"] == "13"


def test_scope(client):
    r = client.request("PURGE", "/scope/a%20b/%C3%A9?x=1&y=%20",
                       headers=[("X-One", "1"), ("x-one", "2 3")])
    s = r.json()
    assert s["method"] == "PURGE"
    assert s["path"] == "/scope/a b/é"
    assert s["raw_path"] == "/scope/a%20b/%C3%A9"
    assert s["query"] == "x=1&y=%20"
    assert (s["scheme"], s["http_version"]) == ("http", "1.1")
    assert s["client"][0] == s["server"][0] == "127.0.0.1"
    assert s["server"][1] == client.base_url.port
    assert [v for k, v in s["headers"] if k == "x-one"] == ["1", "2 3"]


def test_parameters_and_cookies(client):
    r = client.get("/params/7?a=1&a=2&b=%26",
                   headers={"cookie": 'k=v; q="w"'})
    assert r.json() == {"id": 7, "query": [["a", "1"], ["a", "2"],
                                           ["b", "&"]],
                        "cookies": {"k": "v", "q": "w"}}


@pytest.mark.parametrize("size", [0, 1, 1000, 16384, 70000, 3 << 20])
def test_echo(client, size):
    data = random.Random(size).randbytes(size)
    for method in "POST", "PUT":
        assert client.request(method, "/echo", content=data).content == data


def test_chunked_upload_is_streamed(client):
    rng = random.Random(1)
    blocks = [rng.randbytes(n) for n in (1, 10, 1000, 100000, 5) * 20]
    whole = b"".join(blocks)
    r = client.post("/digest", content=iter(blocks)).json()
    assert r["sha256"] == hashlib.sha256(whole).hexdigest()
    assert r["size"] == len(whole)
    assert r["pieces"] > 1


def test_form_with_file(client):
    data = os.urandom(200000)
    r = client.post("/form", data={"name": "a &=ü"},
                    files={"file": ("x.bin", data)})
    assert r.json() == {"name": "a &=ü", "filename": "x.bin",
                        "sha256": hashlib.sha256(data).hexdigest()}


def test_streamed_lines(client):
    for n in 0, 1, 2, 1000:
        r = client.get(f"/count/{n}")
        assert r.text == "".join(f"{i}\n" for i in range(n))
    # the middleware Stamp has hidden from the server that an empty stream
    # is empty: a chunked body, and the connection lives on
    assert r.headers["transfer-encoding"] == "chunked"


def test_big_download(client):
    size = 0
    with client.stream("GET", "/download/320") as r:
        for block in r.iter_bytes():
            size += len(block)
    assert size == 320 * 65536


def test_gzip(client):
    with client.stream("GET", "/count/1000",
                       headers={"accept-encoding": "gzip"}) as r:
        raw = b"".join(r.iter_raw())
    assert r.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw).startswith(b"0\n1\n2\n")


def test_cors(client):
    r = client.options("/hello", headers={
        "origin": "https://example.org",
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-user"})
    assert r.status_code == 200
    assert r.headers["access-control-allow-origin"] == "https://example.org"
    r = client.get("/hello", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in r.headers


def test_file(client, folder):
    data = (folder / "data.bin").read_bytes()
    r = client.get("/file")
    assert r.content == data
    assert r.headers["content-disposition"] == \
        'attachment; filename="data.bin"'
    assert client.head("/file").headers["etag"] == r.headers["etag"]
    r = client.get("/file", headers={"range": "bytes=100-299"})
    assert (r.status_code, r.content) == (206, data[100:300])
    r = client.get("/file", headers={"range": "bytes=999999999-"})
    assert r.status_code == 416


def test_static_and_not_modified(client):
    r = client.get("/static/starlette_app.py")
    assert r.text.startswith('"""Starlette')
    r = client.get("/static/starlette_app.py",
                   headers={"if-none-match": r.headers["etag"]})
    assert (r.status_code, r.content) == (304, b"")
    assert client.get("/hello").status_code == 200
    assert client.get("/static/../daemon.py").status_code == 404


def test_session_and_cookies(client):
    assert [client.get("/session").json()["visits"]
            for _ in range(3)] == [1, 2, 3]
    r = client.get("/cookies")
    cookies = r.headers.get_list("set-cookie")
    assert [c.split("=")[0] for c in cookies] == ["a", "b"]
    assert client.cookies["a"] == "1"


def test_background_task(client):
    r = client.post("/background")
    assert r.status_code == 202
    wait_for(lambda: "background" in client.get("/done").json(), "the task")


def test_redirect(client):
    r = client.get("/redirect")
    assert (r.status_code, r.headers["location"]) == (307, "/hello")
    assert client.get("/hello/", follow_redirects=True).text == \
        "Hello, world!"


@pytest.mark.parametrize("code", [200, 201, 204, 304, 404, 418, 451, 599])
def test_status(client, code):
    for _ in range(2):
        r = client.get(f"/status/{code}")
        assert (r.status_code, r.content) == (code, b"")
    # libmicrohttpd before 0.9.77 cannot but add one to 304
    if code == 304:
        assert r.headers.get("content-length", "0") == "0"
    else:
        assert ("content-length" in r.headers) == (code != 204)


def test_handled_errors(client):
    r = client.get("/fail/refused")
    assert (r.status_code, r.json()) == (418, {"refused": "no"})
    r = client.get("/fail/http")
    assert (r.status_code, r.headers["x-why"]) == (409, "test")
    assert client.get("/nowhere").status_code == 404
    assert client.delete("/hello").status_code == 405


def test_unhandled_error(server, client):
    with server.expected("Exception in ASGI application.*ValueError: "
                         "in the handler"):
        r = client.get("/fail/handler")
    assert (r.status_code, r.text) == (500, "Internal Server Error")
    assert client.get("/hello").status_code == 200


def test_error_in_a_stream_cuts_it(server, client):
    with server.expected("Exception in ASGI application.*ValueError: "
                         "in the stream"):
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/fail/stream")
    assert client.get("/hello").status_code == 200


def test_lifespan_state(client):
    r = client.get("/state", headers={"x-user": "bob"})
    assert r.json() == {"lifespan": "from the lifespan", "user": "bob"}


def request_and_leave(port, path, until):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        until(s)


def test_client_that_leaves_a_stream(server, client):
    request_and_leave(server.port, "/events",
                      lambda s: wait_for(lambda: b"tick" in s.recv(4096),
                                         "the stream"))
    wait_for(lambda: "events" in client.get("/done").json(),
             "the stream to notice that its client has gone")


def test_client_that_leaves_a_long_poll(server, client):
    request_and_leave(server.port, "/wait-gone", lambda s: wait_for(
        lambda: "waiting" in client.get("/done").json(), "the handler"))
    wait_for(lambda: "gone" in client.get("/done").json(),
             "the handler to notice that its client has gone")


def test_pipelined_requests_are_answered_in_order(server):
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.sendall(b"".join(
            b"GET /params/%d HTTP/1.1\r\nHost: x\r\n%s\r\n" %
            (i, b"Connection: close\r\n" if i == 19 else b"")
            for i in range(20)))
        data = b""
        while block := s.recv(65536):
            data += block
    ids = [int(part.split(b",")[0]) for part in data.split(b'{"id":')[1:]]
    assert ids == list(range(20))


def test_clients_in_threads(server):
    """20 clients, each with its own header, never see another's."""
    faults = []

    def work(n):
        with httpx.Client(base_url=server.url, trust_env=False,
                          verify=False, timeout=120) as client:
            for i in range(25):
                user = f"u{n}-{i}"
                r = client.get("/state", headers={"x-user": user})
                body = os.urandom(n * 999)
                e = client.post("/echo", content=body)
                if r.json()["user"] != user or \
                        r.headers["x-stamp"] != user or e.content != body:
                    faults.append(user)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not faults


@pytest.mark.skipif(UVICORN, reason="uvicorn ends by the signal itself")
def test_lifespan_shutdown(folder):
    """Another server of the same application, stopped here."""
    import daemon
    data = folder / "second"
    data.mkdir()
    server = daemon.Server(APP, data, env={"DATA": str(data)})
    try:
        server.start()
        assert httpx.get(server.url + "/hello", trust_env=False, timeout=120,
                         verify=False).status_code == 200
        server.stop()
    finally:
        server.kill()
    assert (data / "stopped").read_text() == "yes"
