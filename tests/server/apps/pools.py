"""Keeps what belongs to a request, and uses it during the next."""
import asyncio
import gc

from util import gate, note, read_body, reply, routes

KEPT = {}


async def f_keep(scope, receive, send):
    KEPT["objects"] = (scope, receive, send)
    await read_body(receive)
    await reply(send, b"kept")


async def f_keepwait(scope, receive, send):
    """A task that still waits in receive() when the response is done."""
    await read_body(receive)

    async def listen():
        note(("old", (await receive())["type"]))
    KEPT["task"] = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await reply(send, b"kept")


async def f_use(scope, receive, send):
    """Calls the kept objects in the middle of this request."""
    old_scope, old_receive, old_send = KEPT["objects"]
    out = [old_scope is not scope, old_receive is not receive,
           old_send is not send, old_scope["path"], scope["path"]]
    out.append((await asyncio.wait_for(old_receive(), 60))["type"])
    for m in ({"type": "http.response.start", "status": 299},
              {"type": "http.response.body", "body": b"from the old"}):
        try:
            await old_send(m)
            out.append("accepted")
        except Exception as e:
            out.append(type(e).__name__)
    body = await read_body(receive)
    out.append(body)
    out.append((await asyncio.wait_for(old_receive(), 60))["type"])
    await reply(send, repr(out))
    KEPT.clear()


async def f_keepawait(scope, receive, send):
    """Awaitables that are made but not awaited."""
    KEPT["awaitables"] = [receive(), send({
        "type": "http.response.start", "status": 299})] \
        if scope["path"].endswith("both") else [receive()]
    await reply(send, b"kept")


async def f_useawait(scope, receive, send):
    out = []
    for a in KEPT.pop("awaitables"):
        try:
            m = await asyncio.wait_for(wrap(a), 60)
            out.append(m and m["type"])
        except Exception as e:
            out.append(type(e).__name__)
    await reply(send, repr(out))


async def wrap(a):
    return await a


async def f_event(scope, receive, send):
    """Waits for its own disconnect; must not hear another's."""
    name = scope["path"].split("/")[2]
    await read_body(receive)
    task = asyncio.create_task(receive())
    note(("waiting", name))
    await gate(name).wait()
    note((name, task.done()))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await reply(send, name)


async def f_body(scope, receive, send):
    await reply(send, repr((scope["path"], await read_body(receive))))


async def f_gc(scope, receive, send):
    gc.collect()
    await reply(send, repr(len(gc.get_objects())))


async def f_cycle(scope, receive, send):
    """A reference cycle through everything a request owns."""
    class Box:
        pass
    b = Box()
    b.me, b.scope, b.receive, b.send = b, scope, receive, send
    b.task = asyncio.current_task()
    scope["box"] = b
    await reply(send, b"cycle")


async def f_twice(scope, receive, send):
    """The same awaitable awaited twice."""
    a = receive()
    m = await wrap(a)
    assert m["type"] == "http.request", m
    try:
        await wrap(a)
        note("second await gave a value")
    except RuntimeError:
        note("RuntimeError")
    except BaseException as e:
        note(repr(e))
    await reply(send, b"ok")


app = routes(globals())
