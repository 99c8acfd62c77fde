"""nest_asyncio replaces the methods of the loop's class, and asyncio's tasks
by those in Python, while the module is imported."""
import asyncio

import nest_asyncio

nest_asyncio.apply()
MADE = [asyncio.run(asyncio.sleep(0.001, 1)),
        asyncio.get_event_loop().run_until_complete(
            asyncio.to_thread(int, "2"))]


async def answer(path):
    if path == "/nested":
        try:
            return [asyncio.run(asyncio.sleep(0.001, 3))]
        except RuntimeError as e:
            return e.args
    async with asyncio.TaskGroup() as g, asyncio.timeout(60):
        tasks = [g.create_task(asyncio.sleep(0.001, n)) for n in MADE]
    return [t.result() for t in tasks]


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            m = await receive()
            await send({"type": m["type"] + ".complete"})
            if m["type"] == "lifespan.shutdown":
                return
    body = repr(list(await answer(scope["path"]))).encode()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})
