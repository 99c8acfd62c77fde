# SPDX-License-Identifier: BSD-3-Clause
import concurrent.futures
import hashlib
import os

from daemon import wait_for

APP = "quart_app:app"


def test_pages(client):
    assert client.get("/").text == "Hello, world!"
    assert client.get("/page/%3Cann%3E").text == "<p>served &lt;ann&gt;</p>"
    assert client.get("/sub/").text == "in the blueprint"
    r = client.head("/")
    assert (r.headers["content-length"], r.content) == ("13", b"")


def test_json(client):
    r = client.post("/json?a=1&a=2", json={"k": [1, None, "é"]})
    assert r.json() == {"got": {"k": [1, None, "é"]}, "args": {"a": ["1", "2"]}}


def test_upload(client):
    data = os.urandom(1 << 20)
    assert client.post("/digest", content=data).text == \
        hashlib.sha256(data).hexdigest()
    blocks = [data[i:i + 4567] for i in range(0, len(data), 4567)]
    assert client.post("/digest", content=iter(blocks)).text == \
        hashlib.sha256(data).hexdigest()
    # small enough to come in one piece: Werkzeug 3.1 adds a byte to the file
    # when a piece ends between the last two dashes of the last boundary
    r = client.post("/upload", data={"note": "n"},
                    files={"file": ("f.bin", data[:5000])})
    assert r.json() == {"note": "n", "size": 5000, "name": "f.bin"}


def test_stream(client):
    for n in 0, 1, 500:
        assert client.get(f"/stream/{n}").text == \
            "".join(f"{i}\n" for i in range(n))


def test_session(client):
    assert [client.get("/visits").json() for _ in range(3)] == [1, 2, 3]


def test_request_context_is_isolated(client):
    def ask(i):
        r = client.get("/number", headers={"x-number": str(i)})
        return int(r.text), int(r.headers["x-number"])

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(100))) == [(i, i) for i in range(100)]


def test_synchronous_route(client):
    assert client.get("/threaded").json() is False


def test_background_task(client):
    assert client.post("/background").status_code == 202
    wait_for(lambda: "background" in client.get("/seen").json(), "the task")
    assert client.get("/seen").json()[0] == "up"


def test_errors(server, client):
    assert client.get("/redirect").headers["location"] == "/"
    r = client.get("/teapot")
    assert (r.status_code, r.json()) == (418, {"error": "teapot"})
    assert client.get("/nowhere").status_code == 404
    with server.expected("Exception on request GET /crash.*KeyError"):
        assert client.get("/crash").status_code == 500
    assert client.get("/").status_code == 200
