"""Applications that fail, each in its own way; the path says how."""
import asyncio
import sys

from util import note, routes


def start(**kw):
    return {"type": "http.response.start", "status": 200,
            "headers": [(b"x-app", b"1")], **kw}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")
    __repr__ = __str__


class OwnBase(BaseException):
    pass


def recurse(n):
    return recurse(n + 1) + 1


def grouped():
    raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])


def surrogate():
    raise ValueError("bad \udcff text")


HOW = {
    "value": lambda: (_ for _ in ()).throw(ValueError("from the app")),
    "exit": lambda: sys.exit(7),
    "interrupt": lambda: (_ for _ in ()).throw(KeyboardInterrupt()),
    "cancelled": lambda: (_ for _ in ()).throw(asyncio.CancelledError()),
    "generatorexit": lambda: (_ for _ in ()).throw(GeneratorExit()),
    "stopiteration": lambda: next(iter(())),
    "memory": lambda: (_ for _ in ()).throw(MemoryError()),
    "recursion": lambda: recurse(0),
    "base": lambda: (_ for _ in ()).throw(OwnBase("own")),
    "unprintable": lambda: (_ for _ in ()).throw(Unprintable()),
    "oserror": lambda: (_ for _ in ()).throw(OSError("not the client's")),
    "group": grouped,
    "surrogate": surrogate,
}


def how(scope):
    return HOW[scope["path"].split("/")[2]]


async def f_before(scope, receive, send):
    how(scope)()


async def f_beforewait(scope, receive, send):
    await asyncio.sleep(0.001)
    how(scope)()


async def f_started(scope, receive, send):
    await send(start())
    how(scope)()


async def f_middle(scope, receive, send):
    await send(start())
    await send(body(b"part", True))
    how(scope)()


async def f_middlewait(scope, receive, send):
    await send(start())
    await send(body(b"part", True))
    await asyncio.sleep(0.01)
    how(scope)()


async def f_sized(scope, receive, send):
    await send(dict(start(), headers=[(b"content-length", b"100")]))
    await send(body(b"part", True))
    how(scope)()


async def f_after(scope, receive, send):
    await send(start())
    await send(body(b"whole"))
    how(scope)()


async def f_nothing(scope, receive, send):
    return


async def f_nothingwait(scope, receive, send):
    await asyncio.sleep(0.001)


async def f_onlystart(scope, receive, send):
    await send(start())


async def f_unfinished(scope, receive, send):
    await send(start())
    await send(body(b"part", True))


async def f_value(scope, receive, send):
    await send(start())
    await send(body(b"whole"))
    return 123


async def f_selfcancel(scope, receive, send):
    asyncio.current_task().cancel()
    await asyncio.sleep(1)


async def f_lost(scope, receive, send):
    """An exception in the clean-up after the client has gone."""
    note("waiting")
    while (await receive())["type"] != "http.disconnect":
        pass
    note("gone")
    raise ValueError("after the client left")


async def f_ok(scope, receive, send):
    await send(start())
    await send(body(b"ok"))


app = routes(globals())


def not_async(scope, receive, send):
    return 5


async def answers_then_task_fails(scope, receive, send):
    async def fail():
        raise ValueError("in a task of its own")
    asyncio.create_task(fail())
    await f_ok(scope, receive, send)
