# SPDX-License-Identifier: BSD-3-Clause
"""contrib/examples/hello: each route, and uploads cut at every place."""

import asyncio
import hashlib
import json
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../contrib/examples/hello"))

FOLDER = tempfile.TemporaryDirectory()
os.environ["HELLO_DATABASE"] = os.path.join(FOLDER.name, "hello.db")
os.environ["HELLO_UPLOAD_SIZE"] = "1000000"

import main  # noqa: E402
from multipart import MultipartError, MultipartReader  # noqa: E402

FORM = b"multipart/form-data; boundary=XyZ"


async def call(method, path, pieces=(b"",), headers=()):
    """(status, headers, body) of one request in a started application."""
    events = asyncio.Queue()
    replies = asyncio.Queue()
    state = {}
    lifespan = asyncio.create_task(
        main.app({"type": "lifespan", "state": state}, events.get, replies.put)
    )
    await events.put({"type": "lifespan.startup"})
    assert await replies.get() == {"type": "lifespan.startup.complete"}

    messages = [
        {"type": "http.request", "body": piece, "more_body": True}
        for piece in pieces
    ]
    messages[-1]["more_body"] = False
    sent = []

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await main.app({
        "type": "http", "method": method, "path": path, "http_version": "1.1",
        "client": ("127.0.0.1", 1), "headers": list(headers), "state": state,
    }, receive, send)

    await events.put({"type": "lifespan.shutdown"})
    assert await replies.get() == {"type": "lifespan.shutdown.complete"}
    await lifespan
    start, *bodies = sent
    assert not bodies[-1].get("more_body", False)
    return (start["status"], dict(start["headers"]),
            b"".join(body["body"] for body in bodies))


def run(*args, **kwargs):
    return asyncio.run(call(*args, **kwargs))


def upload(*pieces):
    return run("POST", "/upload", pieces, [(b"content-type", FORM)])


class Routes(unittest.TestCase):
    def test_guest_book(self):
        form = "name=<Ann>&text=caf%C3%A9".encode()
        status, headers, _ = run("POST", "/", [form[:7], form[7:]])
        self.assertEqual((status, headers[b"location"]), (303, b"/"))
        status, headers, body = run("GET", "/")
        self.assertEqual(status, 200)
        self.assertIn("<b>&lt;Ann&gt;</b>: café", body.decode())
        self.assertEqual(int(headers[b"content-length"]), len(body))

    def test_forms_that_are_refused(self):
        for form, status in (
            (b"name=only", 422), (b"", 422), (b"name=%ff&text=x", 400),
            (b"\xff", 400), (b"x" * 20000, 413),
        ):
            with self.subTest(form=form[:20]):
                self.assertEqual(run("POST", "/", [form])[0], status)

    def test_json(self):
        status, headers, body = run("GET", "/json")
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body)["hello"], "world")

    def test_stream(self):
        status, headers, body = run("GET", "/stream")
        self.assertNotIn(b"content-length", headers)
        self.assertEqual(len(body.splitlines()), 10)

    def test_wrong_requests(self):
        for method, path, status in (
            ("GET", "/nope", 404), ("PUT", "/json", 405),
            ("POST", "/upload", 415),
        ):
            with self.subTest(path=path):
                self.assertEqual(run(method, path)[0], status)


class Upload(unittest.TestCase):
    CONTENT = b"\r\n--XyY\r\n-\r\r\n--Xy\r\n\r\nZ\r\n"
    BODY = (
        b"preamble\r\n--XyZ\r\n"
        b'Content-Disposition: form-data; name="plain"\r\n\r\nvalue'
        b"\r\n--XyZ\r\n"
        b'Content-Disposition: form-data; name="f"; filename="a b.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + CONTENT +
        b"\r\n--XyZ\r\n"
        b'content-disposition: form-data; name="f"; filename="none"\r\n\r\n'
        b"\r\n--XyZ--\r\nepilogue"
    )

    def check(self, reply):
        status, _, body = reply
        self.assertEqual(status, 200, body)
        self.assertEqual(json.loads(body), [
            {"name": "a b.bin", "size": len(self.CONTENT),
             "sha256": hashlib.sha256(self.CONTENT).hexdigest()},
            {"name": "none", "size": 0,
             "sha256": hashlib.sha256(b"").hexdigest()},
        ])

    def read(self, pieces):
        reader = MultipartReader(FORM)
        parts = []
        for piece in pieces:
            for event, value in reader.feed(piece):
                if event == "part":
                    parts.append([value.filename, b""])
                elif event == "data":
                    parts[-1][1] += value
        reader.finish()
        return parts

    def test_whole(self):
        self.check(upload(self.BODY))

    def test_cut_everywhere(self):
        want = [[None, b"value"], ["a b.bin", self.CONTENT], ["none", b""]]
        n = len(self.BODY)
        for i in range(n + 1):
            self.assertEqual(self.read([self.BODY[:i], self.BODY[i:]]), want)
        for size in range(1, 9):
            self.assertEqual(self.read(
                [self.BODY[i:i + size] for i in range(0, n, size)]), want)

    def test_boundary_at_the_very_beginning(self):
        body = self.BODY[len(b"preamble\r\n"):]
        self.check(upload(body[:1], body[1:]))

    def test_refused(self):
        part = b'--XyZ\r\ncontent-disposition: form-data; filename="f"\r\n\r\n'
        for body, status in (
            (b"", 400), (part + b"x", 400), (b"--XyZ?", 400),
            (b"--XyZ\r\nno colon\r\n\r\n", 400),
            (b"--XyZ\r\n" + b"x" * 10000, 400),
            (part + b"x" * 1000001, 413),
        ):
            with self.subTest(body=body[:30]):
                self.assertEqual(upload(body)[0], status)

    def test_content_type(self):
        for value in (None, b"", b"text/plain", b"multipart/form-data",
                      b"multipart/mixed; boundary=x"):
            with self.subTest(value=value), self.assertRaises(MultipartError):
                MultipartReader(value)

    def test_memory_is_bounded(self):
        reader = MultipartReader(FORM)
        list(reader.feed(b"--XyZ\r\ncontent-disposition: form-data\r\n\r\n"))
        for _ in range(100):
            list(reader.feed(b"\r\n--Xy" * 1000))
            self.assertLess(len(reader.buffer), 16)


if __name__ == "__main__":
    try:
        unittest.main()
    finally:
        FOLDER.cleanup()
