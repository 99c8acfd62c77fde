"""What asks for the end of the process beside the coroutine of a request, and
what would take its loop away: each path tries one thing, then answers."""
import asyncio
import os
import signal
import sys
import threading

from util import note, reply, routes


def interrupt(*args):
    raise KeyboardInterrupt


def fail(*args):
    raise ValueError("not caught")


def leave(*args):
    sys.exit(7)


ENDS = {"exit": leave, "interrupt": interrupt, "value": fail}


def end(scope):
    return ENDS[scope["path"].split("/")[2]]


async def call(function):
    function()


async def some_turns():
    for _ in range(3):
        await asyncio.sleep(0)


async def f_task(scope, receive, send):
    asyncio.create_task(call(end(scope)))
    await some_turns()
    await reply(send, b"ok")


async def f_soon(scope, receive, send):
    loop = asyncio.get_running_loop()
    loop.call_soon(end(scope))
    loop.call_later(0, end(scope))
    await asyncio.sleep(0.01)
    await reply(send, b"ok")


async def f_group(scope, receive, send):
    async with asyncio.TaskGroup() as g:
        g.create_task(call(end(scope)))
    await reply(send, b"never")


async def f_thread(scope, receive, send):
    """From a thread, into the loop."""
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(loop.call_soon_threadsafe, end(scope))
    await some_turns()
    await reply(send, b"ok")


async def f_handler(scope, receive, send):
    """For the next SIGUSR2, whenever it comes."""
    signal.signal(signal.SIGUSR2, end(scope))
    await reply(send, b"%d" % os.getpid())


async def f_raises(scope, receive, send):
    """Now: in the coroutine itself, as Python has it."""
    signal.signal(signal.SIGUSR2, end(scope))
    signal.raise_signal(signal.SIGUSR2)
    await reply(send, b"never")


async def f_cancelall(scope, receive, send):
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await some_turns()
    await reply(send, b"ok")


def refused(function, *args):
    try:
        function(*args)
    except RuntimeError as e:
        return str(e)
    return "done"


async def f_stop(scope, receive, send):
    await reply(send, refused(asyncio.get_running_loop().stop))


async def f_close(scope, receive, send):
    await reply(send, refused(asyncio.get_running_loop().close))


async def f_forever(scope, receive, send):
    await reply(send, refused(asyncio.get_running_loop().run_forever))


async def f_once(scope, receive, send):
    await reply(send, refused(asyncio.get_running_loop()._run_once))


async def f_complete(scope, receive, send):
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    await reply(send, refused(loop.run_until_complete, future))


async def f_run(scope, receive, send):
    coro = asyncio.sleep(0)
    await reply(send, refused(asyncio.run, coro))
    coro.close()


async def f_elsewhere(scope, receive, send):
    """Another thread tries it."""
    loop, said = asyncio.get_running_loop(), []

    def work():
        for f in loop.stop, loop.close, loop.run_forever:
            said.append(refused(f))
    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.001)
    await reply(send, "\n".join(said))


async def f_wait(scope, receive, send):
    note("waiting")
    await receive()
    await receive()


app = routes(globals())
