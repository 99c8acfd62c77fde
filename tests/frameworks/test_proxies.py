# SPDX-License-Identifier: BSD-3-Clause
"""nginx and HAProxy in front of asgid, with the examples of contrib/proxies.
The proxies listen on UNIX sockets, so that no port is guessed."""

import hashlib
import os
import signal
import socket
import subprocess

import httpx
import pytest

import daemon
from daemon import HERE, wait_for

APP = "clients_app:app"
EXAMPLES = os.path.join(HERE, "..", "..", "contrib", "proxies")


def example(name, *pairs):
    """An example configuration with our own addresses in it."""
    with open(os.path.join(EXAMPLES, name)) as f:
        text = f.read()
    for old, new in pairs:
        assert text.count(old) == 1, f"{old!r} in {name}"
        text = text.replace(old, new)
    return text


class Proxy:
    def __init__(self, folder, command):
        self.uds = str(folder / "proxy.sock")
        self.log = folder / "proxy.log"
        with open(self.log, "wb") as f:
            self.process = subprocess.Popen(command, stdout=f, stderr=f,
                                            stdin=subprocess.DEVNULL)

    def wait(self):
        def listening():
            assert self.process.poll() is None, self.log.read_text()
            with socket.socket(socket.AF_UNIX) as s:
                return s.connect_ex(self.uds) == 0
        wait_for(listening, "the proxy to listen")

    def client(self):
        return httpx.Client(transport=httpx.HTTPTransport(uds=self.uds),
                            base_url="http://site.example", timeout=120)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def nginx(folder, upstream):
    path = daemon.program("nginx", "nginx-light")
    if path is None:
        pytest.skip("nginx is missing: install nginx-light")
    site = folder / "site.conf"
    site.write_text(example(
        "nginx.conf", ("server 127.0.0.1:8000;", f"server {upstream};"),
        ("listen 80;", f"listen unix:{folder}/proxy.sock;")))
    temps = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in (
        "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = folder / "nginx.conf"
    user = "user root;\n" if os.getuid() == 0 else ""
    conf.write_text(f"""{user}daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
events {{ worker_connections 512; }}
http {{
{temps}access_log off;
include {site};
}}
""")
    return Proxy(folder, [path, "-p", str(folder), "-c", str(conf),
                          "-e", f"{folder}/nginx-error.log"])


def haproxy(folder, upstream):
    path = daemon.program("haproxy", "haproxy")
    if path is None:
        pytest.skip("haproxy is missing: install haproxy")
    conf = folder / "haproxy.cfg"
    conf.write_text("global\n\tmaxconn 500\n" + example(
        "haproxy.cfg", ("server one 127.0.0.1:8000", f"server one {upstream}"),
        ("bind :80", f"bind unix@{folder}/proxy.sock")))
    return Proxy(folder, [path, "-db", "-f", str(conf)])


@pytest.fixture(scope="module", params=[nginx, haproxy],
                ids=["nginx", "haproxy"])
def proxy(request, server, tmp_path_factory):
    proxy = request.param(tmp_path_factory.mktemp("proxy"),
                          f"127.0.0.1:{server.port}")
    try:
        proxy.wait()
        yield proxy
    finally:
        proxy.stop()


@pytest.fixture
def web(proxy):
    with proxy.client() as web:
        # HAProxy says 503 until its first look at the server
        wait_for(lambda: web.get("/").status_code == 200, "the proxy")
        yield web


def test_requests(web):
    assert web.get("/").text == "Hello, world!"
    assert web.head("/").headers["content-length"] == "13"
    assert web.get("/nowhere").status_code == 404


def test_headers(web):
    s = web.get("/scope", headers={"x-own": "1"}).json()
    assert s["http_version"] == "1.1"
    assert s["headers"]["host"] == "site.example"
    assert s["headers"]["x-own"] == "1"
    assert s["headers"]["x-forwarded-proto"] == "http"
    assert "keep-alive" not in s["headers"].get("connection", "")


def test_upstream_connections_are_kept(web):
    seen = {tuple(web.get("/scope").json()["client"]) for _ in range(50)}
    assert len(seen) <= 4


def test_bodies(web):
    for size in 0, 1, 10000, 3 << 20:
        data = os.urandom(size)
        expect = f"{size} {hashlib.sha256(data).hexdigest()}"
        assert web.post("/digest", content=data).text == expect
        blocks = [data[i:i + 7000] for i in range(0, size, 7000)]
        assert web.post("/digest", content=iter(blocks)).text == expect
        assert web.post("/echo", content=data).content == data


def test_streams(web):
    assert web.get("/stream?1000").text == \
        "".join(f"line {i}\n" for i in range(1000))
    assert len(web.get("/big?5000000").content) == 5000000
    # the server forgets the first /go of another test only with itself,
    # so both parts may come at once: that they come unbuffered is shown
    # by test_clients, that they come at all here
    web.get("/go")
    assert web.get("/slowly").text == "data: one\n\ndata: two\n\n"


def test_load(proxy, server):
    import concurrent.futures

    def work(n):
        with proxy.client() as web:
            return [web.get("/scope", headers={"x-n": f"{n}.{i}"})
                    .json()["headers"]["x-n"] for i in range(20)] == \
                [f"{n}.{i}" for i in range(20)]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(16)))


def test_unix_socket(tmp_path):
    """nginx, by a UNIX socket."""
    server = daemon.Server(APP, tmp_path, uds=str(tmp_path / "app.sock"))
    try:
        server.start()
        proxy = nginx(tmp_path, f"unix:{tmp_path}/app.sock")
        try:
            proxy.wait()
            with proxy.client() as web:
                assert web.get("/").text == "Hello, world!"
                assert web.get("/scope").json()["client"] is None
                assert len(web.get("/big?300000").content) == 300000
        finally:
            proxy.stop()
        server.check()
        server.stop()
        assert daemon.UVICORN or not os.path.exists(server.uds)
    finally:
        server.kill()
