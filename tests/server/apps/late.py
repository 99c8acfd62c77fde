"""Uses receive and send when the server has ended: from all that Python still
runs then. What came of it is written to the file "late"."""
import asyncio
import atexit
import concurrent.futures
import os
import threading

from util import note, reply, routes

FILE = os.open("late", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
LOOP = []
HELD = []       # module globals: taken apart last of all


def tell(*words, write=os.write):
    """Works with a module that is half taken apart."""
    write(FILE, " ".join(words).encode() + b"\n")


def drive(coroutine):
    """Run it to its end, without a loop."""
    try:
        coroutine.send(None)
    except StopIteration as e:
        return e.value
    raise AssertionError("it waits")


def use(name, receive, send):
    """More often than there are objects of each kind in the free lists."""
    for _ in range(20):
        kept = [receive() for _ in range(20)]
        try:
            got = [drive(r)["type"] for r in kept][-1]
        except RuntimeError:
            got = "RuntimeError"

        async def late():
            await send({"type": "http.response.start", "status": 200})
        try:
            drive(late())
            said = "nothing"
        except Exception as e:
            said = "OSError" if isinstance(e, OSError) else type(e).__name__
    try:
        LOOP[0].call_soon_threadsafe(print)
        loop = "open"
    except RuntimeError:
        loop = "closed"
    tell(name, got, said, loop)


def when_stopped():
    """In a thread that Python joins: when it does."""
    while not threading._SHUTTING_DOWN:
        threading.Event().wait(0.001)


class AtEnd:
    def __init__(self, *how):
        self.how = how

    def __del__(self, use=use):
        use(*self.how)


def suspended(*how):
    try:
        yield
    finally:
        use(*how)


async def suspended_coroutine(*how):
    try:
        await asyncio.Future(loop=LOOP[0])
    finally:
        use(*how)


def start(name, *ports):
    if name == "atexit":
        atexit.register(use, name, *ports)
    elif name == "thread":
        threading.Thread(target=lambda: (when_stopped(),
                                         use(name, *ports))).start()
    elif name == "pool":
        pool = concurrent.futures.ThreadPoolExecutor(1)
        HELD.append(pool)
        pool.submit(lambda: (when_stopped(), use(name, *ports)))
    elif name == "del":
        HELD.append(AtEnd(name, *ports))
    elif name == "ring":
        a, b = AtEnd(name, *ports), []
        b.append((a, b))
        a.ring = b
        HELD.append(b)
    elif name == "generator":
        g = suspended(name, *ports)
        next(g)
        HELD.append(g)
    elif name == "coroutine":
        c = suspended_coroutine(name, *ports)
        c.send(None)
        HELD.append(c)
    elif name == "task":
        HELD.append(asyncio.create_task(suspended_coroutine(name, *ports)))


async def f_late(scope, receive, send):
    """/late/KIND, or /late/KIND/unanswered: in flight when all stops."""
    LOOP[:] = [asyncio.get_running_loop()]
    _, _, name, *how = scope["path"].split("/")
    start(name, receive, send)
    note("in")
    if how:
        try:
            await asyncio.Event().wait()
        finally:
            use("finally", receive, send)
    await reply(send, b"ok")


class Bridge:
    """As WSGI bridges do: a thread drives coroutines on the loop."""

    def __init__(self, loop, receive, send):
        self.loop, self.receive, self.send = loop, receive, send

    def do(self, coroutine):
        try:
            return asyncio.run_coroutine_threadsafe(
                coroutine, self.loop).result(60)
        except RuntimeError:
            coroutine.close()
            return "closed"

    def run(self):
        async def send(message):
            await self.send(message)
        when_stopped()
        tell("bridge", self.do(send({"type": "http.response.start",
                                     "status": 200, "headers": []})))


async def f_bridge(scope, receive, send):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    HELD.append(pool)
    pool.submit(Bridge(asyncio.get_running_loop(), receive, send).run)
    note("in")
    await asyncio.Event().wait()


app = routes(globals())
