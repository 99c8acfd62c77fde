"""What a reload may change, as the application sees it."""
import asyncio
import json
import os
import sys
import time

from util import reply, routes

HERE = os.environ["FACTS"]
SEEN = {"lifespan": False, "module": __name__}


def flag(name):
    return os.path.exists(os.path.join(HERE, name))


while flag("slow-start"):
    time.sleep(0.02)


def confined():
    with open("/proc/self/status") as f:
        return "NoNewPrivs:\t1\n" in f.read()


async def f_facts(scope, receive, send):
    mask = os.umask(0o22)
    os.umask(mask)
    await reply(send, json.dumps(SEEN | {
        "root_path": scope["root_path"], "asgi": scope["asgi"]["version"],
        "spec": scope["asgi"]["spec_version"],
        "umask": mask, "uid": os.getuid(), "gid": os.getgid(),
        "confined": confined(),
        "app_dir": sys.path[0], "prefix": sys.prefix}))


async def f_hold(scope, receive, send):
    while (await receive())["type"] != "http.disconnect":
        pass


async def f_body(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await reply(send, b"read")


async def f_big(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    try:
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 65536,
                        "more_body": True})
    except OSError:
        print("cut")


http = routes(globals())


async def app(scope, receive, send):
    if scope["type"] != "lifespan":
        path = scope["path"].removeprefix(scope["root_path"])
        await http(scope | {"path": path}, receive, send)
        return
    await receive()
    SEEN["lifespan"] = True
    await send({"type": "lifespan.startup.complete"})
    await receive()
    while flag("slow-stop"):
        await asyncio.sleep(0.02)
    await send({"type": "lifespan.shutdown.complete"})


async def two(scope, receive, send):
    SEEN["module"] = "two"
    await app(scope, receive, send)


def make():
    return app


def either(scope, receive=None, send=None):
    """Of both kinds: it depends on the interface how it is called."""
    if receive is not None:
        return app(scope, receive, send)
    return lambda receive, send: app(scope, receive, send)
