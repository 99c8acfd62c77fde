"""What an application is told at the end: it prints that."""
import asyncio

from util import reply, routes


async def f_waits(scope, receive, send):
    """An event stream that only waits for its client to leave."""
    await receive()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"data: 1\n\n",
                "more_body": True})
    print("begun")
    try:
        print((await receive())["type"])
    except asyncio.CancelledError:
        print("cancelled")
        raise


async def f_sleeps(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"data: 1\n\n",
                "more_body": True})
    print("begun")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        print("cancelled")
        raise


async def f_stubborn(scope, receive, send):
    """Does not let itself be cancelled."""
    print("begun")
    for _ in range(100):
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            print("cancelled")


async def f_hello(scope, receive, send):
    await reply(send, b"hello")


http = routes(globals())


async def app(scope, receive, send):
    if scope["type"] != "lifespan":
        await http(scope, receive, send)
        return
    await receive()
    await send({"type": "lifespan.startup.complete"})
    print((await receive())["type"])
    await send({"type": "lifespan.shutdown.complete"})
