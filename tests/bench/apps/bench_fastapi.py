"""FastAPI: a JSON route, a synchronous one, and more for soak.sh."""

import asyncio

from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


async def session():
    yield "session"


@app.get("/json")
async def numbers():
    return [i / 4 for i in range(50)]


@app.get("/sync")
def sync():
    return "from a thread"


@app.get("/hello", response_class=PlainTextResponse)
async def hello():
    return "Hello, world!"


@app.post("/item")
async def item(item: Item, s: str = Depends(session)):
    return item


@app.post("/echo")
async def echo(request: Request):
    return PlainTextResponse(str(len(await request.body())))


@app.get("/stream")
async def stream():
    async def lines():
        for i in range(20):
            yield f"line {i}\n"
            await asyncio.sleep(0)
    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/wait")
async def wait():
    await asyncio.sleep(0.001)
    return "waited"


@app.get("/crash")
async def crash():
    raise ValueError("as it should")
