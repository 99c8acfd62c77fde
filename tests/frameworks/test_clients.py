# SPDX-License-Identifier: BSD-3-Clause
"""curl, httpx and load generators."""

import asyncio
import hashlib
import os
import re
import subprocess

import httpx
import pytest

APP = "clients_app:app"


@pytest.fixture
def curl(program, server):
    path = program("curl", "curl")

    def run(*args, input=None):
        args = [re.sub("^URL", server.url, a) for a in args]
        r = subprocess.run([path, "-sS", "--fail-with-body", "--noproxy", "*",
                            "--max-time", "120", *args], input=input,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert r.returncode == 0, r.stderr.decode()
        return r.stdout
    return run


def test_curl(curl):
    assert curl("URL/") == b"Hello, world!"
    assert b"content-length: 13\r\n" in curl("-I", "URL/").lower()
    assert curl("-G", "-d", "20", "URL/stream").endswith(b"line 19\n")
    assert b'"DELETE"' in curl("-X", "DELETE", "URL/scope")
    assert b'"http_version": "1.0"' in curl("--http1.0", "URL/scope")
    assert curl("--http1.0", "-G", "-d", "5", "URL/stream") == \
        b"".join(b"line %d\n" % i for i in range(5))
    assert len(curl("-G", "-d", "5000000", "URL/big")) == 5000000


def test_curl_keeps_the_connection(curl):
    urls = ["URL/", "URL/stream", "URL/big?100000", "URL/"]
    null = ["-o", os.devnull]
    out = curl("-w", "%{num_connects}\n", *(a for u in urls
                                            for a in (*null, u)))
    assert out == b"1\n0\n0\n0\n"
    out = curl("-I", "-w", "%{num_connects}\n", *null, "URL/", *null, "URL/",
               *null, "URL/big?100000")
    assert out == b"1\n0\n0\n"


def test_head_of_a_stream(curl):
    """No body, and no length; it may be the last on its connection."""
    head = curl("-I", "URL/stream").lower()
    assert head.startswith(b"http/1.1 200 ")
    assert b"content-length" not in head
    out = curl("-I", "-w", "%{http_code}\n", "-o", os.devnull, "URL/stream",
               "-o", os.devnull, "URL/")
    assert out == b"200\n200\n"


def test_curl_uploads(curl, folder):
    data = os.urandom(3 << 20)
    (folder / "upload").write_bytes(data)
    expect = f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode()
    name = str(folder / "upload")
    # a file of known length: curl sends Expect: 100-continue by itself
    assert curl("--data-binary", "@" + name, "URL/digest") == expect
    # of unknown length: chunked
    assert curl("-T", "-", "URL/digest", input=data) == expect
    assert curl("-H", "Expect:", "-H", "Transfer-Encoding: chunked",
                "--data-binary", "@" + name, "URL/digest") == expect
    assert curl("-H", "Expect: 100-continue", "-d", "x=1", "URL/echo") == b"x=1"
    assert curl("--data-binary", "@" + name, "URL/echo") == data


def test_curl_is_not_kept_waiting_for_100(curl):
    """curl waits so long for 100 Continue, then sends anyway."""
    out = curl("--expect100-timeout", "90", "-H", "Expect: 100-continue",
               "-d", "x" * 5000, "-o", os.devnull, "-w", "%{time_total}",
               "URL/digest")
    assert float(out) < 80


def test_curl_in_parallel(curl, folder):
    outs = []
    for i in range(50):
        outs += ["-o", str(folder / f"out{i}"), "URL/big?20000"]
    curl("-Z", "--parallel-max", "25", *outs)
    assert {(folder / f"out{i}").stat().st_size for i in range(50)} == {20000}


def test_httpx_pool(server):
    async def main():
        limits = httpx.Limits(max_connections=10)
        async with httpx.AsyncClient(base_url=server.url, limits=limits,
                                     timeout=120, trust_env=False,
                                     verify=False) as client:
            answers = await asyncio.gather(
                *(client.get("/scope", headers={"x-n": str(i)})
                  for i in range(300)))
        assert [a.json()["headers"]["x-n"] for a in answers] == \
            [str(i) for i in range(300)]
        return {tuple(a.json()["client"]) for a in answers}
    assert len(asyncio.run(main())) <= 10


def test_httpx_streams_up_and_down(server):
    async def main():
        async def blocks():
            for i in range(200):
                yield bytes([i]) * 5000
                await asyncio.sleep(0)

        async with httpx.AsyncClient(base_url=server.url, timeout=120,
                                     trust_env=False, verify=False) as client:
            r = await client.post("/digest", content=blocks())
            sha = hashlib.sha256(b"".join(bytes([i]) * 5000
                                          for i in range(200)))
            assert r.text == f"1000000 {sha.hexdigest()}"
            async with client.stream("GET", "/stream?2000") as r:
                lines = [line async for line in r.aiter_lines()]
            assert lines == [f"line {i}" for i in range(2000)]
    asyncio.run(main())


def test_first_part_of_a_stream_is_not_held_back(server, client):
    with client.stream("GET", "/slowly") as r:
        parts = r.iter_raw()
        assert next(parts) == b"data: one\n\n"
        assert client.get("/go").text == "gone"
        assert b"".join(parts) == b"data: two\n\n"


def test_stream_that_is_not_read_to_its_end(client):
    for _ in range(10):
        with client.stream("GET", "/big?10000000") as r:
            next(r.iter_raw())
    assert client.get("/").text == "Hello, world!"


def test_wrk(program, server):
    out = subprocess.run(
        [program("wrk", "wrk"), "-t1", "-c32", "-d1s", "--timeout", "60s",
         server.url + "/"],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    assert int(re.search(r"(\d+) requests in", out)[1]) > 0, out
    assert "Non-2xx" not in out and "Socket errors" not in out, out


@pytest.mark.parametrize("path", ["/", "/stream?3", "/big?100000"])
def test_h2load(program, server, path):
    out = subprocess.run(
        [program("h2load", "nghttp2-client"), "--h1", "-n1000", "-c20",
         server.url + path], check=True, stdout=subprocess.PIPE,
        text=True).stdout
    assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in out, out
