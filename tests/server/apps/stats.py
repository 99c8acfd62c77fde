"""Something of each kind for the statistics to tell."""
import asyncio
import os
import signal
import time


async def answer(send, body=b"done", status=200):
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def wait(scope, receive, send):
    """Until the client leaves, having sent half an answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x",
                "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


async def app(scope, receive, send):
    assert scope["type"] == "http"
    path = scope["path"]
    if path == "/wait":
        return await wait(scope, receive, send)
    if path == "/raise":
        raise ValueError("as asked")
    if path == "/nothing":
        return
    if path == "/die":
        os.kill(os.getpid(), signal.SIGKILL)
    if path == "/sleep":
        await asyncio.sleep(float(scope["query_string"]))
    if path == "/block":
        time.sleep(float(scope["query_string"]))
    if path == "/body":
        while (await receive()).get("more_body"):
            pass
    if path.startswith("/status/"):
        return await answer(send, b"", int(path[8:]))
    if path == "/big":
        return await answer(send, bytes(int(scope["query_string"])))
    if path == "/chunks":
        await send({"type": "http.response.start", "status": 200,
                    "headers": []})
        for n in range(10):
            await send({"type": "http.response.body", "body": b"x" * 1000 * n,
                        "more_body": n < 9})
        return
    await answer(send)
