"""Litestar: controllers, injection, msgspec structs, streams, threads."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator
from typing import Annotated

import msgspec
from litestar import Controller, Litestar, Request, delete, get, post
from litestar.datastructures import State, UploadFile
from litestar.di import Provide
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import Body
from litestar.response import Redirect, ServerSentEvent, Stream


class Note(msgspec.Struct):
    text: Annotated[str, msgspec.Meta(min_length=1)]
    stars: int = 0


@contextlib.asynccontextmanager
async def lifespan(app):
    app.state.notes = {}
    yield


async def counter(state: State) -> int:
    return len(state.notes)


class Notes(Controller):
    path = "/notes"
    dependencies = {"count": Provide(counter)}

    @post()
    async def create(self, data: Note, state: State, count: int) -> dict:
        state.notes[count] = data
        return {"key": count}

    @get("/{key:int}")
    async def read(self, key: int, state: State) -> Note:
        if key not in state.notes:
            raise NotFoundException(f"no note {key}")
        return state.notes[key]

    @delete("/{key:int}")
    async def remove(self, key: int, state: State) -> None:
        del state.notes[key]


@get("/")
async def index() -> str:
    return "Hello, world!"


@get("/threaded", sync_to_thread=True)
def threaded() -> bool:
    return threading.current_thread() is threading.main_thread()


@get("/stream")
async def stream(n: int) -> Stream:
    async def blocks() -> AsyncGenerator[bytes, None]:
        for i in range(n):
            yield f"{i}\n".encode()
            await asyncio.sleep(0)
    return Stream(blocks(), media_type="text/plain")


@get("/sse")
async def sse() -> ServerSentEvent:
    async def events() -> AsyncGenerator[str, None]:
        for i in range(3):
            yield f"event {i}"
    return ServerSentEvent(events())


@post("/upload")
async def upload(data: Annotated[UploadFile, Body(
        media_type=RequestEncodingType.MULTI_PART)]) -> dict:
    return {"name": data.filename, "size": len(await data.read())}


@post("/size")
async def size(request: Request) -> int:
    n = 0
    async for piece in request.stream():
        n += len(piece)
    return n


@get("/redirect")
async def away() -> Redirect:
    return Redirect("/")


@get("/conflict")
async def conflict() -> None:
    raise HTTPException("conflict", status_code=409)


@get("/crash")
async def crash() -> None:
    raise LookupError("lost")


app = Litestar([Notes, index, threaded, stream, sse, upload, size, away,
                conflict, crash], lifespan=[lifespan])
