"""For tests of connections: slow, gated and counting requests."""
import asyncio

from util import GATES, Gone, gate, note, read_body, reply, routes


async def f_fast(scope, receive, send):
    await reply(send, scope["path"])


async def f_slow(scope, receive, send):
    """/slow/MS/anything"""
    await asyncio.sleep(int(scope["path"].split("/")[2]) / 1000)
    await reply(send, scope["path"])


async def f_gated(scope, receive, send):
    note("in", scope["path"])
    await gate(scope["path"].split("/")[2]).wait()
    GATES.pop(scope["path"].split("/")[2], None)
    await reply(send, scope["path"])


async def f_stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    for i in range(5):
        await send({"type": "http.response.body", "body": b"%d" % i,
                    "more_body": True})
        await asyncio.sleep(0.002)
    await send({"type": "http.response.body"})


async def f_body(scope, receive, send):
    try:
        data = await read_body(receive)
        note("body", len(data))
        await reply(send, repr(len(data)))
    except Gone as e:
        note("lost", str(e))


async def f_flood(scope, receive, send):
    """Sends until the client is given up."""
    await send({"type": "http.response.start", "status": 200})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536,
                        "more_body": True})
    except OSError:
        note("OSError")


async def f_cancel(scope, receive, send):
    note("in")
    try:
        await asyncio.sleep(30)
        note("slept")
    except asyncio.CancelledError:
        note("cancelled")
        raise


app = routes(globals())
