"""One lifespan behaviour an attribute; what happened goes to $JOURNAL."""
import asyncio
import os
import types

from util import reply


def record(*words):
    with open(os.environ["JOURNAL"], "a") as f:
        f.write(" ".join(map(str, words)) + "\n")


def make(lifespan):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            record("scope", sorted(scope), scope["asgi"])
            return await lifespan(scope, receive, send)
        if scope["path"] == "/slow":
            record("request begins")
            await asyncio.sleep(0.3)
            record("request ends")
        await reply(send, repr(scope["state"]))
    return app


COMPLETE = {"type": "lifespan.startup.complete"}
DOWN = {"type": "lifespan.shutdown.complete"}


@make
async def good(scope, receive, send):
    record((await receive())["type"])
    scope["state"]["a"] = 1
    await send(COMPLETE)
    record((await receive())["type"])
    await send(DOWN)
    record("end")


@make
async def elsewhere(scope, receive, send):
    """receive and send are those of requests: coroutine functions."""
    loop = asyncio.get_running_loop()

    def say(message):
        asyncio.run_coroutine_threadsafe(send(message), loop).result(60)
    receive().close()           # nothing is taken but by who awaits
    record((await asyncio.create_task(receive()))["type"])
    wrong = send({"type": "nonsense"})
    record(*map(type, await asyncio.gather(wrong, return_exceptions=True)))
    await asyncio.to_thread(say, types.MappingProxyType(COMPLETE))
    record((await asyncio.wait_for(receive(), 600))["type"])
    await asyncio.shield(send(DOWN))
    record("end")


@make
async def slow(scope, receive, send):
    await receive()
    await asyncio.sleep(0.2)
    task = asyncio.create_task(asyncio.sleep(600))
    await send(COMPLETE)
    record((await receive())["type"])
    task.cancel()
    await asyncio.sleep(0.2)
    await send(DOWN)
    record("end")


@make
async def raises_at_once(scope, receive, send):
    raise RuntimeError("no lifespan here")


@make
async def raises_in_startup(scope, receive, send):
    await receive()
    raise RuntimeError("database is down")


@make
async def exits_in_startup(scope, receive, send):
    await receive()
    raise SystemExit(9)


@make
async def failed(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


@make
async def failed_silently(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed"})


@make
async def returns_at_once(scope, receive, send):
    return


@make
async def returns_after_receive(scope, receive, send):
    await receive()


@make
async def twice(scope, receive, send):
    await receive()
    await send(COMPLETE)
    await send(COMPLETE)


@make
async def wrong_message(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200})


@make
async def shutdown_failed(scope, receive, send):
    await receive()
    await send(COMPLETE)
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "it burns"})


@make
async def raises_in_shutdown(scope, receive, send):
    await receive()
    await send(COMPLETE)
    await receive()
    raise RuntimeError("cannot flush")


@make
async def raises_while_serving(scope, receive, send):
    await receive()
    await send(COMPLETE)
    await asyncio.sleep(0.05)
    raise RuntimeError("background failure")


@make
async def hangs_in_startup(scope, receive, send):
    await receive()
    await asyncio.sleep(600)


@make
async def hangs_in_shutdown(scope, receive, send):
    await receive()
    await send(COMPLETE)
    await receive()
    await asyncio.sleep(600)


@make
async def sleeps_forever(scope, receive, send):
    """Starts, then never listens to its events again."""
    await receive()
    await send(COMPLETE)
    await asyncio.sleep(600)


@make
async def no_state_key(scope, receive, send):
    await receive()
    scope["state"] = {"replaced": True}
    await send(COMPLETE)
    await receive()
    await send(DOWN)
