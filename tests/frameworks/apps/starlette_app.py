"""Starlette: its middleware, responses, forms, static files and lifespan."""

import asyncio
import contextlib
import hashlib
import os

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import (FileResponse, JSONResponse,
                                 PlainTextResponse, RedirectResponse,
                                 Response, StreamingResponse)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

done = []           # what background tasks and cut-off streams did


class Stamp(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        request.state.user = request.headers.get("x-user", "nobody")
        response = await call_next(request)
        response.headers["x-stamp"] = request.state.user
        return response


class Refused(Exception):
    pass


async def on_refused(request, exc):
    return JSONResponse({"refused": str(exc)}, status_code=418)


async def hello(request):
    return PlainTextResponse("Hello, world!")


async def echo(request):
    return Response(await request.body(),
                    media_type=request.headers.get("content-type"))


async def scope(request):
    s = request.scope
    return JSONResponse({
        "method": s["method"], "path": s["path"],
        "raw_path": s["raw_path"].decode("latin-1"),
        "query": s["query_string"].decode("latin-1"),
        "scheme": s["scheme"], "http_version": s["http_version"],
        "client": s["client"], "server": s["server"],
        "headers": [[k.decode(), v.decode("latin-1")]
                    for k, v in s["headers"]]})


async def params(request):
    return JSONResponse({"id": request.path_params["id"],
                         "query": request.query_params.multi_items(),
                         "cookies": request.cookies})


async def digest(request):
    """Reads the body as it comes."""
    sha, pieces, size = hashlib.sha256(), 0, 0
    async for piece in request.stream():
        sha.update(piece)
        pieces += bool(piece)
        size += len(piece)
    return JSONResponse({"sha256": sha.hexdigest(), "pieces": pieces,
                         "size": size})


async def form(request):
    async with request.form() as form:
        upload = form["file"]
        data = await upload.read()
        return JSONResponse({"name": form["name"],
                             "filename": upload.filename,
                             "sha256": hashlib.sha256(data).hexdigest()})


async def count(request):
    """n numbered lines, a turn of the loop between any two."""
    async def lines():
        try:
            for i in range(request.path_params["n"]):
                yield f"{i}\n"
                await asyncio.sleep(0)
        finally:
            done.append("count")
    return StreamingResponse(lines(), media_type="text/plain")


async def download(request):
    async def blocks():
        for i in range(request.path_params["n"]):
            yield bytes([i & 0xff]) * 65536
    return StreamingResponse(blocks())


async def events(request):
    """An event stream that ends when its client has gone."""
    async def ticks():
        try:
            while True:
                yield "data: tick\n\n"
                await asyncio.sleep(0.01)
        finally:
            done.append("events")
    return StreamingResponse(ticks(), media_type="text/event-stream")


async def wait_gone(request):
    """Works until the client has gone, as a long poll does."""
    done.append("waiting")
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    done.append("gone")
    return PlainTextResponse("nobody reads this")


async def file(request):
    return FileResponse(request.app.state.file, filename="data.bin")


async def session(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JSONResponse(dict(request.session))


async def cookies(request):
    response = PlainTextResponse("set")
    response.set_cookie("a", "1", httponly=True, samesite="lax")
    response.set_cookie("b", "two words", max_age=60)
    return response


async def background(request):
    async def later(name):
        await asyncio.sleep(0.01)
        done.append(name)
    return PlainTextResponse(
        "accepted", 202, background=BackgroundTask(later, "background"))


async def finished(request):
    return JSONResponse(done)


async def redirect(request):
    return RedirectResponse("/hello")


async def fail(request):
    kind = request.path_params["kind"]
    if kind == "refused":
        raise Refused("no")
    if kind == "http":
        raise HTTPException(409, "conflict", headers={"x-why": "test"})
    if kind == "stream":
        async def broken():
            yield b"a"
            await asyncio.sleep(0)
            raise ValueError("in the stream")
        return StreamingResponse(broken())
    raise ValueError("in the handler")


async def status(request):
    return Response(status_code=request.path_params["code"])


async def state(request):
    return JSONResponse({"lifespan": request.state.greeting,
                         "user": request.state.user})


@contextlib.asynccontextmanager
async def lifespan(app):
    path = os.path.join(os.environ["DATA"], "data.bin")
    with open(path, "wb") as f:
        f.write(bytes(range(256)) * 1024)
    app.state.file = path
    yield {"greeting": "from the lifespan"}
    with open(os.path.join(os.environ["DATA"], "stopped"), "w") as f:
        f.write("yes")


app = Starlette(
    routes=[
        Route("/scope{rest:path}", scope,
              methods=["GET", "OPTIONS", "DELETE", "PURGE"]),
        Route("/wait-gone", wait_gone),
        Route("/fail/{kind}", fail),
        Route("/status/{code:int}", status),
        Route("/echo", echo, methods=["POST", "PUT", "PATCH"]),
        Route("/digest", digest, methods=["POST"]),
        # BaseHTTPMiddleware makes every answer a stream, and hides that
        # the client has gone: not around the routes above
        Mount("/", middleware=[Middleware(Stamp)], routes=[
            Route("/hello", hello, methods=["GET", "POST"]),
            Route("/params/{id:int}", params),
            Route("/form", form, methods=["POST"]),
            Route("/count/{n:int}", count),
            Route("/download/{n:int}", download),
            Route("/events", events),
            Route("/file", file),
            Route("/session", session),
            Route("/cookies", cookies),
            Route("/background", background, methods=["POST"]),
            Route("/done", finished),
            Route("/redirect", redirect),
            Route("/state", state),
            Mount("/static", StaticFiles(
                directory=os.path.dirname(os.path.abspath(__file__)))),
        ]),
    ],
    middleware=[
        Middleware(CORSMiddleware, allow_origins=["https://example.org"],
                   allow_methods=["*"], allow_headers=["x-user"]),
        Middleware(SessionMiddleware, secret_key="secret"),
        Middleware(GZipMiddleware, minimum_size=500),
    ],
    exception_handlers={Refused: on_refused},
    lifespan=lifespan)
