"""Who serves: process numbers, and requests that last."""
import asyncio
import os
import sys
import time

from util import GATES, gate, note, read_body, reply, routes

print("on stdout")


async def f_pid(scope, receive, send):
    await reply(send, str(os.getpid()))


async def f_slow(scope, receive, send):
    note("in")
    await asyncio.sleep(int(scope["path"].split("/")[2]) / 1000)
    await reply(send, b"slow")


async def f_until(scope, receive, send):
    """Until there is a file of that name, in the current directory."""
    note("in")
    while not os.path.exists(scope["path"].split("/")[2]):
        await asyncio.sleep(0.005)
    await reply(send, b"until")


async def f_gated(scope, receive, send):
    note("in")
    await gate("g").wait()
    GATES.pop("g")
    await reply(send, b"gated")


async def f_stubborn(scope, receive, send):
    """Does not let itself be cancelled."""
    note("in")
    end = asyncio.get_running_loop().time() + 600
    while asyncio.get_running_loop().time() < end:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            pass


async def f_stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"tick\n",
                        "more_body": True})
            await asyncio.sleep(0.01)
    finally:
        note("stream ended")


async def f_events(scope, receive, send):
    """Server-sent events: sends on and on, or waits for the client to leave
    (/events/wait)."""
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type",
                             b"Text/Event-Stream; charset=utf-8")]})
    await send({"type": "http.response.body", "body": b"data: 0\n\n",
                "more_body": True})
    try:
        while "wait" in scope["path"]:
            if (await receive())["type"] == "http.disconnect":
                return
        while True:
            await send({"type": "http.response.body", "body": b"data: 1\n\n",
                        "more_body": True})
            await asyncio.sleep(0.01)
    finally:
        print("events ended", flush=True)


async def f_block(scope, receive, send):
    """Holds the loop, without the interpreter lock."""
    note("in")
    time.sleep(float(scope["path"].split("/")[2]))
    await reply(send, b"blocked")


async def f_nap(scope, receive, send):
    """Holds the loop from when the body is here until there is a file of
    that name."""
    await read_body(receive)
    await asyncio.sleep(0.01)
    print("napping")
    while not os.path.exists(scope["path"].split("/")[2]):
        time.sleep(0.005)
    await asyncio.sleep(0)
    await reply(send, b"rested")


async def f_crash(scope, receive, send):
    os.kill(os.getpid(), 6)


async def f_exit(scope, receive, send):
    os._exit(5)


async def f_info(scope, receive, send):
    await reply(send, repr({
        "argv": sys.argv, "cwd": os.getcwd(), "umask": os.umask(0o22),
        "path0": sys.path[0], "uid": os.getuid(),
        "client": scope["client"], "server": scope["server"],
        "env": {k: v for k, v in os.environ.items()
                if k.startswith("ASGID_")}}))


app = routes(globals())


def factory():
    return app
