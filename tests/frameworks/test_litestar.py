# SPDX-License-Identifier: BSD-3-Clause
import os

APP = "litestar_app:app"


def test_index(client):
    r = client.get("/")
    assert (r.text, r.headers["content-length"]) == ("Hello, world!", "13")


def test_notes(client):
    r = client.post("/notes", json={"text": "tea", "stars": 2})
    assert (r.status_code, r.json()) == (201, {"key": 0})
    assert client.get("/notes/0").json() == {"text": "tea", "stars": 2}
    assert client.post("/notes", json={"text": ""}).status_code == 400
    assert client.delete("/notes/0").status_code == 204
    r = client.get("/notes/0")
    assert (r.status_code, r.json()["detail"]) == (404, "no note 0")


def test_thread(client):
    assert client.get("/threaded").json() is False


def test_streams(client):
    for n in 0, 1, 300:
        assert client.get(f"/stream?n={n}").text == \
            "".join(f"{i}\n" for i in range(n))
    assert "data: event 2" in client.get("/sse").text


def test_upload(client):
    data = os.urandom(1 << 20)
    r = client.post("/upload", files={"data": ("f.bin", data)})
    assert r.json() == {"name": "f.bin", "size": len(data)}
    assert client.post("/size", content=data).json() == len(data)


def test_schema(client):
    r = client.get("/schema/openapi.json").json()
    assert "/notes/{key}" in r["paths"]


def test_errors(client):
    assert client.get("/redirect").headers["location"] == "/"
    assert client.get("/conflict").status_code == 409
    assert client.get("/nowhere").status_code == 404
    r = client.get("/crash")
    assert (r.status_code, r.json()["detail"]) == (500, "Internal Server Error")
