"""receive and send as objects: awaited late, by others, from elsewhere."""
import array
import asyncio
import collections
import gc
import inspect
import os
import threading
import time
import types
import weakref

from util import gate, note, reply, routes

BIG = b"x" * 200_000        # above the high-water mark
TASKS = []


def start(status=200, headers=()):
    return {"type": "http.response.start", "status": status,
            "headers": headers}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def turns(n=3):
    for _ in range(n):
        await asyncio.sleep(0)


# ---- send() that waits: each WAY awaits it otherwise

async def by_task(awaitable):
    task = asyncio.create_task(awaitable)
    await turns()
    await task


async def by_gather(awaitable):
    await asyncio.gather(awaitable)


async def by_shield(awaitable):
    await asyncio.shield(awaitable)


async def by_wait_for(awaitable):
    await asyncio.wait_for(awaitable, 60)


async def later(awaitable):
    """Not before the client has read all that was there to read."""
    note("sent")
    await gate("read").wait()
    await turns()
    await awaitable


WAYS = {"task": by_task, "gather": by_gather, "shield": by_shield,
        "wait_for": by_wait_for, "later": later}


async def f_waits(scope, receive, send):
    way = WAYS[scope["path"].split("/")[2]]
    await send(start())
    for _ in range(5):
        await way(send(body(BIG, True)))
    await send(body(b"end"))
    note("done")


async def f_leaves(scope, receive, send):
    way = WAYS[scope["path"].split("/")[2]]
    await send(start())
    try:
        while True:
            await way(send(body(BIG, True)))
    except OSError:
        note("left")


async def f_two(scope, receive, send):
    """Two senders; the second adds while the first waits."""
    await send(start())
    first = asyncio.create_task(by_task(send(body(BIG, True))))
    await turns(5)
    note("waiting")
    # the client reads until less than the high-water mark is unsent
    await gate("some").wait()
    second = asyncio.create_task(by_task(send(body(b"y", True))))
    await asyncio.gather(first, second)
    await send(body(b"end"))
    note("both")


async def f_cancelled(scope, receive, send):
    """A wait that is given up takes nothing along."""
    await send(start())
    task = asyncio.create_task(by_task(send(body(BIG * 20, True))))
    await turns()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    note("given up")
    await send(body(b"end"))


async def f_receives(scope, receive, send):
    """Several wait for the next event; none is lost, and none comes twice."""
    async def one():
        while True:
            events.append(await receive())
            if not events[-1]["more_body"]:
                whole.set()
    events, whole = [], asyncio.Event()
    tasks = [asyncio.create_task(one()) for _ in range(3)]
    await turns()
    note("waiting")
    await whole.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await reply(send, b"".join(m["body"] for m in events))


# ---- errors come with the await

async def f_errors(scope, receive, send):
    wrong = send({"type": "nonsense"})
    kinds = []
    try:
        await wrong
    except RuntimeError as e:
        kinds.append(str(e))
    got = await asyncio.gather(send({"type": "nonsense"}), send(start()),
                               send(start()), return_exceptions=True)
    kinds += [type(e).__name__ for e in got]
    await send(body(repr(kinds).encode()))


async def f_unawaited(scope, receive, send):
    send(start())
    send({"type": "forgotten"})
    send(body(b"ok"))


async def f_kept(scope, receive, send):
    """An error of which only its own frames know, once they are left."""
    def handle():
        try:
            raise ValueError("first")
        except ValueError:
            kept = send({"type": "forgotten", "kept": None})
        return bool(kept)
    handle()
    gc.collect()
    await reply(send, b"ok")


async def f_gone(scope, receive, send):
    """One of the subscribers has left: the others get theirs."""
    note("waiting")
    while (await receive())["type"] != "http.disconnect":
        pass
    got = await asyncio.gather(send(start()), asyncio.sleep(0, "slept"),
                               return_exceptions=True)
    note(isinstance(got[0], OSError), got[1])


# ---- from another thread

def in_thread(function):
    def run():
        try:
            result.append(function())
        except BaseException as e:
            result.append(e)
    result = []
    t = threading.Thread(target=run)
    t.start()
    return t, result


async def f_threadsafe(scope, receive, send):
    """Called there, awaited here: like any coroutine function."""
    loop = asyncio.get_running_loop()

    def work():
        def do(coroutine):
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)
        first = do(receive())
        do(send(start()))
        do(send(body(first["body"], True)))
        do(send(body(b" sent")))
    await asyncio.to_thread(work)


async def f_foreign(scope, receive, send):
    """Awaited there: refused."""
    def drive(make):
        async def main():
            return await make()
        return in_thread(lambda: asyncio.run(main()))
    words = []
    for make in receive, lambda: send(start()):
        thread, result = drive(make)
        while thread.is_alive():
            await asyncio.sleep(0.001)
        words.append("%s %s" % (type(result[0]).__name__,
                                "event loop" in str(result[0])))
    await reply(send, ", ".join(words))


# ---- messages that run code

async def f_reenters(scope, receive, send):
    """Headers that send() while they are read."""
    def headers():
        yield (b"x-first", b"1")
        got.append(send(start(201, [(b"x-second", b"2")])))
        got.append(send(body(b"inner")))
    got = []
    note("in")
    try:
        await send(start(200, headers()))
        note("taken")
    except RuntimeError as e:
        note(str(e))
    for awaitable in got:
        await awaitable


async def f_mapping(scope, receive, send):
    class Truth:
        def __bool__(self):
            return False
    await send(collections.UserDict(start(200, ((b"x-a", b"1"),))))
    await send(types.MappingProxyType(
        {"type": "http.response.body", "body": b"ok", "more_body": Truth()}))


async def f_types(scope, receive, send):
    class Bytes(bytes):
        pass
    headers = [(Bytes(b"x-sub"), Bytes(b"1")), [bytearray(b"x-ba"),
               bytearray(b"2")], (b"x-mv", memoryview(b"33")[1:]),
               {b"x-d1": 0, b"x-d2": 0}]
    await send(start(200, (h for h in headers)))
    await send(body(None, True))
    await send(body(memoryview(b"a-b-c")[::2], True))
    await send(body(array.array("B", b"d"), True))
    await send(body(bytearray(b"e")))


# ---- steps within steps

async def f_nested(scope, receive, send):
    """The coroutine that drives us is not ours to drive."""
    coroutine = asyncio.current_task().get_coro()
    words = []
    for call in (coroutine.close, lambda: coroutine.send(None),
                 lambda: coroutine.throw(ValueError("no")),
                 coroutine.__next__):
        try:
            call()
            words.append("done")
        except BaseException as e:
            words.append("%s: %s" % (type(e).__name__, e))
    await reply(send, "\n".join(words))


async def f_refuses(scope, receive, send):
    """Will not be closed, with a sender that waits."""
    async def fill():
        while True:
            await send(body(BIG, True))
    TASKS[:] = [asyncio.current_task()]
    await send(start())
    TASKS.append(asyncio.create_task(fill()))
    await turns()
    note("waiting")
    try:
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(600)


async def f_closes(scope, receive, send):
    """Closes that one, when its client has read what there was."""
    open("blocked", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.001)
    task, filler = TASKS
    try:
        task.get_coro().close()
        said = "closed"
    except BaseException as e:
        said = "%s: %s" % (type(e).__name__, e)
    for task in TASKS:
        task.cancel()
    TASKS.clear()
    await reply(send, said)


async def f_elsewhere(scope, receive, send):
    """Nor is it another thread's."""
    coroutine = asyncio.current_task().get_coro()
    note("in")
    words = []
    waits = asyncio.Event()

    def drive(loop):
        for call in coroutine.close, lambda: coroutine.send(None):
            try:
                call()
                words.append("done")
            except RuntimeError as e:
                words.append(str(e))
        loop.call_soon_threadsafe(waits.set)
    threading.Thread(target=drive, args=[asyncio.get_running_loop()]).start()
    await waits.wait()
    await reply(send, "\n".join(words))


async def f_groups(scope, receive, send):
    """Chains that branch, and come back to where they began."""
    note("waiting")
    while (await receive())["type"] != "http.disconnect":
        pass
    try:
        await send(start())
    except OSError as lost:
        error = ExceptionGroup("g", [lost, ValueError("at the bottom")])
        for _ in range(40):
            group = ExceptionGroup("g", [error, error])
            group.__cause__ = group.__context__ = error
            error = group
        lost.__context__ = error
        note("raising")
        raise error


# ---- what they look like

async def f_looks(scope, receive, send):
    seen = {}
    waiting, sending = receive(), None
    await send(start())
    sending = send({"type": "nonsense"})
    for name, port in ("receive", receive), ("send", send):
        seen[name] = (port.__name__, port.__qualname__, port.__module__,
                      asyncio.iscoroutinefunction(port),
                      weakref.ref(port)() is port)
    for name, o in ("waiting", waiting), ("sending", sending):
        seen[name] = (o.__name__, inspect.iscoroutine(o),
                      asyncio.iscoroutine(o), inspect.isawaitable(o),
                      isinstance(o, collections.abc.Coroutine),
                      inspect.getcoroutinestate(o), weakref.ref(o)() is o)
    sending.close()
    waiting.close()
    await send(body(repr(seen).encode()))


app = routes(globals())
