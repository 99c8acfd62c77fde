"""FastAPI: models, dependencies, threads, uploads, files, security."""

import asyncio
import contextlib
import datetime
import os
import threading
import time
import uuid
from typing import Annotated

from fastapi import (APIRouter, BackgroundTasks, Body, Cookie, Depends,
                     FastAPI, File, Form, Header, HTTPException, Query,
                     Request, Response, UploadFile)
from fastapi.responses import (FileResponse, JSONResponse, PlainTextResponse,
                               StreamingResponse)
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel, Field, field_validator

events = []
meetings = {}


class Item(BaseModel):
    name: str = Field(min_length=1, max_length=40)
    price: float = Field(gt=0)
    tags: set[str] = set()
    made: datetime.date | None = None

    @field_validator("name")
    @classmethod
    def stripped(cls, value):
        return value.strip()


class Stored(Item):
    id: uuid.UUID
    secret: str


class Shown(Item):
    id: uuid.UUID


class OutOfStock(Exception):
    pass


@contextlib.asynccontextmanager
async def lifespan(app):
    app.state.items = {}
    yield {"started": "yes"}


app = FastAPI(lifespan=lifespan, title="Shop", version="1.2")


@app.exception_handler(OutOfStock)
async def on_out_of_stock(request, exc):
    return JSONResponse({"sold": request.url.path}, status_code=410)


@app.middleware("http")
async def timing(request: Request, call_next):
    start = time.perf_counter()
    response = await call_next(request)
    response.headers["x-time"] = f"{time.perf_counter() - start:.6f}"
    return response


async def session():
    """An asynchronous dependency with an end."""
    events.append("session open")
    try:
        yield {"db": "fake"}
    finally:
        await asyncio.sleep(0)
        events.append("session closed")


def handle(s: Annotated[dict, Depends(session)]):
    """A synchronous one, which runs in a thread, on top of it."""
    events.append("handle open in " + (
        "main" if threading.current_thread() is threading.main_thread()
        else "thread"))
    try:
        yield s["db"] + " handle"
    except ValueError as e:
        events.append(f"handle saw {e}")
        raise HTTPException(409, str(e)) from None
    finally:
        events.append("handle closed")


left = {}


@app.get("/late/{kind}")
async def late(kind: str):
    """Its client has left by the time it fails."""
    left[kind] = asyncio.Event()
    events.append("late")
    await left[kind].wait()
    if kind == "error":
        raise ValueError("nobody to tell")
    raise HTTPException(404)


@app.get("/left/{kind}")
async def has_left(kind: str):
    left[kind].set()


@app.post("/whole-body")
async def whole_body(request: Request):
    events.append("whole body")
    await request.body()


def paging(skip: int = Query(0, ge=0), limit: int = Query(10, le=100)):
    return {"skip": skip, "limit": limit}


items = APIRouter(prefix="/items", tags=["items"])


@items.post("", status_code=201, response_model=Shown)
async def create(item: Item, request: Request):
    stored = Stored(id=uuid.uuid4(), secret="hidden", **item.model_dump())
    request.app.state.items[stored.id] = stored
    return stored


@items.get("", response_model=list[Shown])
async def listing(request: Request, page: Annotated[dict, Depends(paging)]):
    found = list(request.app.state.items.values())
    return found[page["skip"]:page["skip"] + page["limit"]]


@items.get("/{key}", response_model=Shown)
async def read(key: uuid.UUID, request: Request):
    if key not in request.app.state.items:
        raise HTTPException(404, "no such item", headers={"x-key": str(key)})
    return request.app.state.items[key]


@items.put("/{key}", response_model=Shown)
async def replace(key: uuid.UUID, item: Item, request: Request,
                  note: Annotated[str, Body()]):
    stored = Stored(id=key, secret=note, **item.model_dump())
    request.app.state.items[key] = stored
    return stored


@items.delete("/{key}", status_code=204)
async def delete(key: uuid.UUID, request: Request):
    del request.app.state.items[key]


app.include_router(items)


@app.get("/json")
async def numbers():
    return [i / 4 for i in range(50)]


@app.get("/echo-parameters/{path:path}")
async def parameters(path: str, q: Annotated[list[int], Query()] = [],
                     x_token: Annotated[str | None, Header()] = None,
                     flavour: Annotated[str | None, Cookie()] = None):
    return {"path": path, "q": q, "token": x_token, "flavour": flavour}


@app.get("/depends")
async def depends(h: Annotated[str, Depends(handle)], fail: bool = False):
    events.append("route")
    if fail:
        raise ValueError("refused")
    return h


@app.get("/events")
async def seen(clear: bool = False):
    found = list(events)
    if clear:
        events.clear()
    return found


@app.get("/sync")
def sync():
    return {"main": threading.current_thread() is threading.main_thread()}


@app.get("/meet")
def meet(n: int):
    """Ends when n of these run side by side."""
    events.append("meeting")
    meetings.setdefault(n, threading.Barrier(n)).wait(60)
    return threading.get_ident()


@app.post("/background")
async def background(tasks: BackgroundTasks):
    def in_thread():
        events.append("sync task")

    async def on_loop():
        events.append("async task")
    tasks.add_task(in_thread)
    tasks.add_task(on_loop)
    return "queued"


@app.post("/upload")
async def upload(files: list[UploadFile], note: Annotated[str, Form()]):
    return {"note": note, "files": [
        [f.filename, f.content_type, len(await f.read())] for f in files]}


@app.post("/upload-bytes")
def upload_bytes(data: Annotated[bytes, File()]):
    return len(data)


@app.get("/stream")
def stream(n: int):
    def blocks():           # synchronous: each block from a thread
        for i in range(n):
            yield f"block {i}\n".encode() * 1000
    return StreamingResponse(blocks(), media_type="text/plain")


@app.get("/file")
async def file():
    return FileResponse(os.path.abspath(__file__), media_type="text/x-python")


basic = HTTPBasic()


@app.get("/me")
def me(who: Annotated[HTTPBasicCredentials, Depends(basic)]):
    if (who.username, who.password) != ("ann", "pass"):
        raise HTTPException(401, headers={"www-authenticate": "Basic"})
    return who.username


@app.get("/headers")
async def headers(response: Response):
    response.headers["x-one"] = "1"
    response.set_cookie("flavour", "sour")
    response.status_code = 203
    return "set"


@app.get("/sold")
async def sold():
    raise OutOfStock


@app.get("/crash")
def crash():
    return 1 / 0


@app.get("/plain", response_class=PlainTextResponse)
async def plain():
    return "Hello, world!"
