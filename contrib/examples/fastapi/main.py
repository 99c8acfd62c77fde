# SPDX-License-Identifier: BSD-3-Clause
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI(title="asgid and FastAPI")


class Item(BaseModel):
    name: str
    price: float


@app.get("/")
async def hello():
    return {"hello": "world"}


@app.get("/square/{n}")
def square(n: int):
    # a synchronous route runs in a thread
    return {"square": n * n}


@app.post("/items")
async def create(item: Item):
    return {"created": item.name, "with_tax": round(item.price * 1.2, 2)}
