# SPDX-License-Identifier: BSD-3-Clause
"""A small ASGI application without a framework.

    /         a guest book in a SQLite database
    /json     a JSON document
    /stream   ten lines, one every 100 ms
    /upload   a file upload, written to disk as it arrives

    asgid --app-dir contrib/examples/hello main:app --port 8000
"""

import asyncio
import hashlib
import html
import json
import os
import sqlite3
import tempfile
import time
from urllib.parse import parse_qs

from multipart import MultipartError, MultipartReader

FORM_SIZE = 16 * 1024
UPLOAD_SIZE = int(os.environ.get("HELLO_UPLOAD_SIZE", 1024**3))
DATABASE = os.environ.get(
    "HELLO_DATABASE", os.path.join(tempfile.gettempdir(), "asgid-hello.db")
)


class HTTPError(Exception):
    """Becomes a response with this status."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


# ---- responses --------------------------------------------------------------


async def respond(send, body, *, status=200, type="text/html", headers=()):
    if isinstance(body, str):
        body = body.encode()
    await send({
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", f"{type}; charset=utf-8".encode()),
            (b"content-length", str(len(body)).encode()),
            *headers,
        ],
    })
    await send({"type": "http.response.body", "body": body})


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<body style="font-family: sans-serif; max-width: 40em; margin: 2em auto">
<h1>{title}</h1>
{content}
<p><a href="/">guest book</a> <a href="/json">json</a>
<a href="/stream">stream</a> <a href="/upload">upload</a></p>
</body></html>
"""


# ---- requests ---------------------------------------------------------------


async def body_of(receive):
    """The pieces of the request's body, as they come."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPError(400, "The client went away.")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def read_form(receive):
    """The fields of a small form; the last of each name counts."""
    body = b""
    async for piece in body_of(receive):
        body += piece
        if len(body) > FORM_SIZE:
            raise HTTPError(413, "This form is too large.")
    try:
        fields = parse_qs(body.decode(), errors="strict")
    except ValueError:
        raise HTTPError(400, "This form is no UTF-8.") from None
    return {name: values[-1] for name, values in fields.items()}


# ---- / ----------------------------------------------------------------------


class GuestBook:
    """SQLite belongs in a thread: a disk that is slow stops nobody else.

    A connection a call keeps threads apart, and costs microseconds.
    """

    def __init__(self, path):
        self.path = path
        with self.connect() as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS entries ("
                "id INTEGER PRIMARY KEY, name TEXT, text TEXT, at REAL)"
            )
        db.close()

    def connect(self):
        return sqlite3.connect(self.path, timeout=10)

    def add(self, name, text):
        with self.connect() as db:
            db.execute(
                "INSERT INTO entries (name, text, at) VALUES (?, ?, ?)",
                (name, text, time.time()),
            )
        db.close()

    def latest(self, count=20):
        db = self.connect()
        try:
            return db.execute(
                "SELECT name, text FROM entries ORDER BY id DESC LIMIT ?",
                (count,),
            ).fetchall()
        finally:
            db.close()


async def show_book(scope, receive, send):
    entries = await asyncio.to_thread(scope["state"]["book"].latest)
    items = "\n".join(
        f"<li><b>{html.escape(name)}</b>: {html.escape(text)}</li>"
        for name, text in entries
    )
    await respond(send, PAGE.format(title="Guest book", content=f"""
<form method="post">
<input name="name" placeholder="name" required maxlength="80">
<input name="text" placeholder="text" required maxlength="1000">
<button>sign</button>
</form>
<ul>{items}</ul>"""))


async def sign_book(scope, receive, send):
    form = await read_form(receive)
    name, text = form.get("name", "").strip(), form.get("text", "").strip()
    if not name or not text:
        raise HTTPError(422, "Please give a name and a text.")
    book = scope["state"]["book"]
    await asyncio.to_thread(book.add, name[:80], text[:1000])
    # a reload of the page must not sign again
    await respond(send, "", status=303, headers=[(b"location", b"/")])


# ---- /json ------------------------------------------------------------------


async def show_json(scope, receive, send):
    document = {
        "hello": "world",
        "method": scope["method"],
        "path": scope["path"],
        "http_version": scope["http_version"],
        "client": scope["client"],
    }
    await respond(send, json.dumps(document), type="application/json")


# ---- /stream ----------------------------------------------------------------


async def show_stream(scope, receive, send):
    await send({
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"text/plain; charset=utf-8")],
    })
    for n in range(1, 11):
        line = f"line {n} at {time.strftime('%H:%M:%S')}\n".encode()
        # raises OSError, which ends this request, when the client has gone
        await send({
            "type": "http.response.body",
            "body": line,
            "more_body": True,
        })
        await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b""})


# ---- /upload ----------------------------------------------------------------


async def show_upload(scope, receive, send):
    await respond(send, PAGE.format(title="Upload", content="""
<form method="post" enctype="multipart/form-data">
<input type="file" name="file" required> <button>upload</button>
</form>"""))


async def take_upload(scope, receive, send):
    """Store each file under a name of our own, report it, delete it.

    However large the file, one piece of it is in memory at a time: while
    the disk takes it, the server stops reading from the client.
    """
    try:
        reader = MultipartReader(dict(scope["headers"]).get(b"content-type"))
    except MultipartError as exc:
        raise HTTPError(415, str(exc)) from None
    files, total, output = [], 0, None
    try:
        async for piece in body_of(receive):
            total += len(piece)
            if total > UPLOAD_SIZE:
                raise HTTPError(413, "This is too large.")
            for event, value in reader.feed(piece):
                if event == "part" and value.filename:
                    digest = hashlib.sha256()
                    output = await asyncio.to_thread(
                        tempfile.TemporaryFile, prefix="upload-"
                    )
                    files.append({"name": value.filename, "size": 0})
                elif event == "data" and output:
                    await asyncio.to_thread(output.write, value)
                    digest.update(value)
                    files[-1]["size"] += len(value)
                elif event == "end" and output:
                    files[-1]["sha256"] = digest.hexdigest()
                    output.close()
                    output = None
        reader.finish()
    except MultipartError as exc:
        raise HTTPError(400, str(exc)) from None
    finally:
        if output:
            output.close()
    await respond(send, json.dumps(files, indent=2) + "\n",
                  type="application/json")


# ---- the application --------------------------------------------------------

ROUTES = {
    "/": {"GET": show_book, "POST": sign_book},
    "/json": {"GET": show_json},
    "/stream": {"GET": show_stream},
    "/upload": {"GET": show_upload, "POST": take_upload},
}


async def lifespan(scope, receive, send):
    await receive()  # lifespan.startup
    try:
        book = await asyncio.to_thread(GuestBook, DATABASE)
    except sqlite3.Error as exc:
        await send({
            "type": "lifespan.startup.failed",
            "message": f"{DATABASE}: {exc}",
        })
        return
    scope["state"]["book"] = book
    await send({"type": "lifespan.startup.complete"})
    await receive()  # lifespan.shutdown
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    try:
        methods = ROUTES.get(scope["path"])
        if methods is None:
            raise HTTPError(404, "There is no such page.")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if method not in methods:
            raise HTTPError(405, "This page does not take that method.")
        await methods[method](scope, receive, send)
    except HTTPError as exc:
        await respond(send, f"{exc}\n", status=exc.status, type="text/plain")
