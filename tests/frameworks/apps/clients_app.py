"""A bare ASGI application for curl, load generators and proxies."""

import asyncio
import hashlib
import json

HELLO = b"Hello, world!"


async def reply(send, body, status=200, type=b"text/plain", headers=()):
    await send({"type": "http.response.start", "status": status, "headers": [
        (b"content-type", type), (b"content-length", b"%d" % len(body)),
        *headers]})
    await send({"type": "http.response.body", "body": body})


async def pieces(receive):
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def hello(scope, receive, send):
    await reply(send, HELLO)


async def scope_(scope, receive, send):
    await reply(send, json.dumps({
        "method": scope["method"], "path": scope["path"],
        "client": scope["client"], "scheme": scope["scheme"],
        "http_version": scope["http_version"],
        "headers": {k.decode(): v.decode() for k, v in scope["headers"]},
    }).encode(), type=b"application/json")


async def digest(scope, receive, send):
    sha, size = hashlib.sha256(), 0
    async for piece in pieces(receive):
        sha.update(piece)
        size += len(piece)
    await reply(send, f"{size} {sha.hexdigest()}".encode())


async def echo(scope, receive, send):
    body = b"".join([p async for p in pieces(receive)])
    await reply(send, body, type=b"application/octet-stream")


async def stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"text/plain")]})
    for i in range(int(scope["query_string"] or b"10")):
        await send({"type": "http.response.body", "more_body": True,
                    "body": b"line %d\n" % i})
        await asyncio.sleep(0)
    await send({"type": "http.response.body"})


async def slowly(scope, receive, send):
    """Two lines; the second when the client asks /go."""
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "more_body": True,
                "body": b"data: one\n\n"})
    await scope["state"]["go"].wait()
    await send({"type": "http.response.body", "body": b"data: two\n\n"})


async def go(scope, receive, send):
    scope["state"]["go"].set()
    await reply(send, b"gone")


async def big(scope, receive, send):
    size = int(scope["query_string"])
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-length", b"%d" % size)]})
    while size > 0:
        n = min(size, 65536)
        size -= n
        await send({"type": "http.response.body", "body": b"x" * n,
                    "more_body": size > 0})


ROUTES = {"/": hello, "/scope": scope_, "/digest": digest, "/echo": echo,
          "/stream": stream, "/slowly": slowly, "/go": go, "/big": big}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["go"] = asyncio.Event()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["path"] in ROUTES:
        await ROUTES[scope["path"]](scope, receive, send)
    else:
        await reply(send, b"nothing here", 404)
