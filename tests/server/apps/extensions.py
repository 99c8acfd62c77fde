"""Uses the extension named by the path, if the scope offers it."""
import os
import sys

from util import reply


async def app(scope, receive, send):
    assert scope["type"] == "http"
    name = scope["path"][1:]
    if name not in (scope.get("extensions") or {}):
        return await reply(send, b"not offered", 404)
    if name == "http.response.pathsend":
        path = os.path.abspath(sys.modules["util"].__file__)
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length",
                                 b"%d" % os.path.getsize(path))]})
        await send({"type": "http.response.pathsend", "path": path})
    elif name == "http.response.early_hint":
        await send({"type": "http.response.early_hint",
                    "links": [b"</a.css>; rel=preload; as=style"]})
        await reply(send, b"after the hint")
    elif name == "http.response.trailers":
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"trailer", b"x-sum")], "trailers": True})
        await send({"type": "http.response.body", "body": b"with trailers"})
        await send({"type": "http.response.trailers",
                    "headers": [(b"x-sum", b"1")], "more_trailers": False})
    else:
        await reply(send, b"unknown extension", 501)
