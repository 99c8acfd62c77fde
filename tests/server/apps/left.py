"""Errors of applications whose client has left, and what is none."""
import asyncio

from util import gate, note, reply, routes


class NotFound(Exception):
    """As HTTPException: an answer that is raised."""


class ClientDisconnect(Exception):
    """As Starlette's, but an application's own."""


def start(status, *headers):
    return {"type": "http.response.start", "status": status,
            "headers": headers}


async def left():
    """Until the client has left: the test opens the gate then."""
    note("waiting")
    await gate("left").wait()


async def handler(status, error, send):
    """As frameworks do: answer while the error is handled."""
    try:
        raise error
    except Exception:
        await reply(send, b"sorry", status)
        raise


async def f_500(scope, receive, send):
    await left()
    await handler(500, ValueError("from the app"), send)


async def f_404(scope, receive, send):
    await left()
    await handler(404, NotFound("nothing here"), send)


async def f_plain(scope, receive, send):
    await left()
    raise ValueError("from the app")


async def f_own(scope, receive, send):
    """What only looks like a framework's."""
    await left()
    raise ClientDisconnect("own class")


async def f_group(scope, receive, send):
    await left()
    async with asyncio.TaskGroup() as tg:
        tg.create_task(reply(send))
        tg.create_task(reply(send))


async def f_mixed(scope, receive, send):
    async def fail():
        raise ValueError("from the app")
    await left()
    async with asyncio.TaskGroup() as tg:
        tg.create_task(reply(send))
        tg.create_task(fail())


async def f_stream(scope, receive, send):
    await send(start(200))
    await left()
    try:
        raise KeyError("handled")
    except KeyError:
        while True:
            await send({"type": "http.response.body", "body": b"x",
                        "more_body": True})
            await asyncio.sleep(0)


async def f_returns(scope, receive, send):
    """Sends as if nothing had happened."""
    await left()
    for _ in range(3):
        await send(start(200))
        await send({"type": "http.response.body", "body": b"x",
                    "more_body": True})
    note("sent")


async def f_background(scope, receive, send):
    """Answered, and then it goes on."""
    await reply(send, b"ok")
    raise ValueError("in the background")


app = routes(globals())
