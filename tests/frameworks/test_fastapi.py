# SPDX-License-Identifier: BSD-3-Clause
import base64
import concurrent.futures
import os
import socket
import struct
import uuid

import pytest

from daemon import APPS, UVICORN, wait_for

APP = "fastapi_app:app"


def seen(client, last=None):
    """The events so far, the last one included: what comes after an answer
    may still be on its way."""
    found = []

    def complete():
        found.extend(client.get("/events?clear=true").json())
        return last is None or last in found

    wait_for(complete, f"{last!r} in {found}")
    return found


def test_models(client):
    r = client.post("/items", json={"name": " tea ", "price": 2.5,
                                    "tags": ["a", "a"],
                                    "made": "2026-01-02"})
    assert r.status_code == 201
    item = r.json()
    key = item.pop("id")
    assert item == {"name": "tea", "price": 2.5, "tags": ["a"],
                    "made": "2026-01-02"}
    assert client.get(f"/items/{key}").json()["name"] == "tea"
    r = client.put(f"/items/{key}", json={
        "item": {"name": "milk", "price": 1}, "note": "n"})
    assert r.json()["name"] == "milk"
    assert [i["id"] for i in client.get("/items?limit=1").json()] == [key]
    r = client.delete(f"/items/{key}")
    assert (r.status_code, r.content) == (204, b"")
    r = client.get(f"/items/{key}")
    assert (r.status_code, r.headers["x-key"]) == (404, key)


def test_validation(client):
    r = client.post("/items", json={"name": "", "price": -1})
    assert r.status_code == 422
    assert {e["loc"][-1] for e in r.json()["detail"]} == {"name", "price"}
    r = client.post("/items", content=b'{"name": ',
                    headers={"content-type": "application/json"})
    assert r.status_code == 422
    assert client.get("/items/no-uuid").status_code == 422
    assert client.get("/items?limit=1000").status_code == 422


def test_parameters(client):
    r = client.get("/echo-parameters/a/b%2Fc?q=1&q=2",
                   headers={"x-token": "t", "cookie": "flavour=sweet"})
    assert r.json() == {"path": "a/b/c", "q": [1, 2], "token": "t",
                        "flavour": "sweet"}


def test_json(client):
    r = client.get("/json")
    assert r.json() == [i / 4 for i in range(50)]
    assert float(r.headers["x-time"]) >= 0


def test_dependencies_with_an_end(client):
    seen(client)
    assert client.get("/depends").json() == "fake handle"
    assert seen(client, "session closed") == [
        "session open", "handle open in thread", "route",
        "handle closed", "session closed"]
    r = client.get("/depends?fail=true")
    assert (r.status_code, r.json()) == (409, {"detail": "refused"})
    assert seen(client, "session closed") == [
        "session open", "handle open in thread", "route",
        "handle saw refused", "handle closed", "session closed"]


def test_synchronous_routes_run_in_threads_side_by_side(client):
    assert client.get("/sync").json()["main"] is False
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: client.get("/meet?n=20").json(),
                              range(20)))
    assert len(set(found)) == 20


def test_the_loop_serves_while_threads_are_busy(client):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        seen(client)
        slow = pool.submit(client.get, "/meet?n=2")
        seen(client, "meeting")
        for _ in range(50):
            assert client.get("/plain").text == "Hello, world!"
        assert not slow.done()
        assert client.get("/meet?n=2").status_code == 200
        assert slow.result().status_code == 200


def test_many_synchronous_requests(client):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(
            lambda _: client.get("/sync").status_code, range(400)))
    assert found == [200] * 400


def test_background_tasks(client):
    seen(client)
    assert client.post("/background").json() == "queued"
    assert seen(client, "async task") == ["sync task", "async task"]


def test_uploads(client):
    big = os.urandom(2 << 20)           # spooled to a file by Starlette
    r = client.post("/upload", data={"note": "hi"}, files=[
        ("files", ("a.txt", b"small", "text/plain")),
        ("files", ("b.bin", big, "application/x-thing"))])
    assert r.json() == {"note": "hi", "files": [
        ["a.txt", "text/plain", 5],
        ["b.bin", "application/x-thing", len(big)]]}
    assert client.post("/upload-bytes", files={"data": big}).json() == len(big)
    assert client.post("/upload", data={"note": "x"}).status_code == 422


def test_synchronous_stream(client):
    r = client.get("/stream?n=50")
    assert r.text == "".join(f"block {i}\n" * 1000 for i in range(50))


def test_file(client):
    with open(os.path.join(APPS, "fastapi_app.py"), "rb") as f:
        data = f.read()
    r = client.get("/file")
    assert r.content == data
    assert r.headers["content-length"] == str(len(data))
    assert r.headers["content-type"].startswith("text/x-python")


def test_basic_authentication(client):
    assert client.get("/me", auth=("ann", "pass")).json() == "ann"
    r = client.get("/me", auth=("ann", "wrong"))
    assert (r.status_code, r.headers["www-authenticate"]) == (401, "Basic")
    bad = base64.b64encode(b"nocolon").decode()
    r = client.get("/me", headers={"authorization": "Basic " + bad})
    assert r.status_code == 401


def test_headers_status_and_cookies(client):
    r = client.get("/headers")
    assert (r.status_code, r.headers["x-one"]) == (203, "1")
    assert r.cookies["flavour"] == "sour"


def test_openapi_and_docs(client):
    r = client.get("/openapi.json").json()
    assert r["info"] == {"title": "Shop", "version": "1.2"}
    assert "/items/{key}" in r["paths"]
    assert "swagger" in client.get("/docs").text.lower()


def test_errors(server, client):
    r = client.get("/sold")
    assert (r.status_code, r.json()) == (410, {"sold": "/sold"})
    assert client.post("/plain").status_code == 405
    assert client.get(f"/items/{uuid.uuid4()}").status_code == 404
    with server.expected("Exception in ASGI application.*ZeroDivisionError"):
        r = client.get("/crash")
    assert (r.status_code, r.text) == (500, "Internal Server Error")
    assert client.get("/plain").text == "Hello, world!"


def leave(server, client, request, event):
    """A client that resets its connection when the application has begun."""
    n = server.access().count(" 499")
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.sendall(request)
        seen(client, event)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     struct.pack("ii", 1, 0))
    wait_for(lambda: server.access().count(" 499") > n, "a status 499")


@pytest.mark.skipif(UVICORN, reason="the log lines are asgid's")
def test_error_after_the_client_has_left(server, client):
    leave(server, client, b"GET /late/error HTTP/1.1\r\nHost: t\r\n\r\n",
          "late")
    with server.expected("WARNING: +ValueError: nobody to tell: raised after "
                         "the client had left: GET /late/error from"):
        client.get("/left/error")


@pytest.mark.skipif(UVICORN, reason="it has no status 499")
def test_nothing_to_tell_after_the_client_has_left(server, client):
    """The log must stay quiet: the fixture looks."""
    leave(server, client, b"GET /late/404 HTTP/1.1\r\nHost: t\r\n\r\n",
          "late")
    client.get("/left/404")
    leave(server, client, b"POST /whole-body HTTP/1.1\r\n"
          b"Host: t\r\nContent-Length: 1000\r\n\r\nbegun", "whole body")
