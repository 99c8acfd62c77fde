"""The bare ASGI applications of the bench."""

import asyncio
import os


async def lifespan(receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def hello(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"text/plain"), (b"content-length", b"13")]})
    await send({"type": "http.response.body", "body": b"Hello, world!"})


async def echo(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = b"".join(pieces)
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def pid(scope, receive, send):
    """Who answers? For killworker.py."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    body = b"%d" % os.getpid()
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"text/plain"),
        (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def sizes_of(version):
    """How many bytes came, and who says so. For chaos.py."""
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        more, n = True, 0
        while more:
            message = await receive()
            n += len(message.get("body", b""))
            more = message.get("more_body")
        if scope["path"] == "/slow":
            await asyncio.sleep(0.2)
        body = b"%d %d" % (n, version)
        await send({"type": "http.response.start", "status": 200, "headers": [
            (b"content-length", b"%d" % len(body))]})
        if scope["path"] == "/slow":
            await asyncio.sleep(0.1)
        await send({"type": "http.response.body", "body": body})
    return app
