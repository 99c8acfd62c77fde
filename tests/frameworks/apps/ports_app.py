"""receive and send handed to libraries, as coroutine functions."""
import warnings

import anyio


def start(status=200):
    return {"type": "http.response.start", "status": status, "headers": []}


def body(data, more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def groups(receive, send):
    """Tasks of a group; one at a time, since their order is not promised."""
    for port, message in ((receive, None), (send, start()),
                          (send, body(anyio.__name__.encode()))):
        async with anyio.create_task_group() as tg:
            args = () if message is None else (message,)
            tg.start_soon(port, *args)


async def cancelled(receive, send):
    """A receive() of a group that is cancelled."""
    await receive()
    async with anyio.create_task_group() as tg:
        tg.start_soon(receive)
        tg.start_soon(receive, name="second")
        await anyio.sleep(0)
        tg.cancel_scope.cancel()
    with anyio.move_on_after(0):
        await receive()
    await send(start())
    await send(body(b"cancelled"))


async def bridged(receive, send):
    """asgiref's bridge, from a thread; its warnings are errors."""
    from asgiref.sync import async_to_sync, sync_to_async

    def work():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            event = async_to_sync(receive)()
            async_to_sync(send)(start())
            async_to_sync(send)(body(event["body"]))
    await sync_to_async(work)()


async def wrapped(receive, send):
    """anyio's own bridge."""
    def work():
        anyio.from_thread.run(send, start())
        anyio.from_thread.run(send, body(b"from a thread"))
    await anyio.to_thread.run_sync(work)


async def app(scope, receive, send):
    if scope["type"] == "http":
        await globals()[scope["path"].strip("/")](receive, send)
    else:
        # lifespan's ports are of the same kind
        async with anyio.create_task_group() as tg:
            tg.start_soon(receive)
        async with anyio.create_task_group() as tg:
            tg.start_soon(send, {"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
