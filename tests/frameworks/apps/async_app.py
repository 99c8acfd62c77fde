"""What applications do on the loop: drivers, clients, task groups, threads,
subprocesses, sockets. Bare Starlette, without middleware."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import os
import signal
import sys
import time

import aiosqlite
import anyio
import anyio.to_thread
import asyncpg
import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

who = contextvars.ContextVar("who", default="nobody")


@contextlib.asynccontextmanager
async def lifespan(app):
    async with (
            aiosqlite.connect(os.environ["DATA"] + "/a.sqlite3") as db,
            asyncpg.create_pool(
                host="127.0.0.1", port=int(os.environ["PG_PORT"]), user="u",
                password="secret", database="d", ssl=False, min_size=2,
                max_size=2) as pool):
        await db.execute("create table t (k integer primary key, v text)")
        await db.commit()
        yield {"db": db, "pool": pool}


async def hello(request):
    return PlainTextResponse("Hello, world!")


async def sqlite(request):
    db = request.state.db
    await db.execute("insert into t (v) values (?)",
                     (request.query_params["v"],))
    await db.commit()
    async with db.execute("select v from t order by k") as rows:
        return JSONResponse([v async for v, in rows])


async def postgres(request):
    """Ten queries on two connections."""
    pool = request.state.pool
    found = await asyncio.gather(
        *(pool.fetchval(f"select {i}") for i in range(10)))
    async with pool.acquire() as c, c.transaction():
        rows = await c.fetch("select 41", timeout=60)
    return JSONResponse([found, [list(r) for r in rows]])


async def itself(request):
    """Asks this very server, over its own loop."""
    url = request.query_params["base"] + "/hello"
    async with httpx.AsyncClient(trust_env=False, timeout=60,
                                 verify=False) as client:
        answers = await asyncio.gather(*(client.get(url) for _ in range(20)))
        async with client.stream("GET", url) as r:
            streamed = (await r.aread()).decode()
    return JSONResponse([[a.text for a in answers], streamed])


async def groups(request):
    """anyio: a task group, cancellation, streams, limits, threads."""
    found = []
    send, receive = anyio.create_memory_object_stream(4)

    async def producer(n, stream):
        async with stream:
            for i in range(3):
                await stream.send((n, i))
                await anyio.sleep(0)

    async with anyio.create_task_group() as tg:
        for n in range(5):
            tg.start_soon(producer, n, send.clone())
        send.close()
        async with receive:
            async for item in receive:
                found.append(item)
    timed_out = False
    try:
        with anyio.fail_after(0.02):
            await anyio.sleep(60)
    except TimeoutError:
        timed_out = True
    with anyio.move_on_after(0.02) as scope:
        async with anyio.create_task_group() as tg:
            tg.start_soon(anyio.sleep_forever)
    failures = []
    try:
        async with anyio.create_task_group() as tg:
            async def fail():
                raise LookupError("in the group")
            tg.start_soon(fail)
            tg.start_soon(anyio.sleep_forever)
    except* LookupError as e:
        failures = [str(x) for x in e.exceptions]
    doubled = await anyio.to_thread.run_sync(lambda: 21 * 2)
    return JSONResponse([sorted(found), timed_out, scope.cancelled_caught,
                         failures, doubled])


async def taskgroup(request):
    """asyncio's own: TaskGroup, timeout, shield, wait, queue, event."""
    async def square(n):
        await asyncio.sleep(0.001 * (5 - n))
        return n * n

    async with asyncio.TaskGroup() as tg:
        tasks = [tg.create_task(square(n)) for n in range(5)]
    squares = [t.result() for t in tasks]
    try:
        async with asyncio.timeout(0.02):
            await asyncio.Event().wait()
        late = False
    except TimeoutError:
        late = True
    queue = asyncio.Queue(1)
    async with asyncio.TaskGroup() as tg:
        async def put():
            for i in range(5):
                await queue.put(i)
        tg.create_task(put())
        got = [await queue.get() for _ in range(5)]
    task = asyncio.ensure_future(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel("enough")
    try:
        await task
    except asyncio.CancelledError as e:
        why = e.args
    first, rest = await asyncio.wait(
        [asyncio.create_task(square(4)), asyncio.create_task(
            asyncio.Event().wait())], return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.wait(rest)
    return JSONResponse([squares, late, got, why,
                         [t.result() for t in first],
                         asyncio.current_task() is not None])


async def context(request):
    """A context variable set here is not seen by another request."""
    before = who.get()
    who.set(request.query_params["who"])
    await asyncio.sleep(0.005)
    inner = await asyncio.create_task(asyncio.to_thread(who.get))
    return JSONResponse([before, who.get(), inner])


async def threads(request):
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def work():
        time.sleep(0.01)
        loop.call_soon_threadsafe(future.set_result, "from a thread")

    a = await asyncio.to_thread(sum, range(10))
    await loop.run_in_executor(None, work)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        b = await loop.run_in_executor(pool, pow, 2, 10)
        c = await asyncio.wrap_future(pool.submit(len, "abc"))
        d = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "d"), loop)
        d = await asyncio.wrap_future(d)
    return JSONResponse([a, await future, b, c, d])


async def subprocess(request):
    child = await asyncio.create_subprocess_exec(
        sys.executable if "python" in sys.executable else "/usr/bin/python3",
        "-c", "import sys; print(sys.stdin.read()[::-1]); sys.exit(3)",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate(b"desrever")
    shell = await asyncio.create_subprocess_shell(
        "exit 7", stdout=asyncio.subprocess.DEVNULL)
    slow = await asyncio.create_subprocess_exec("sleep", "60")
    slow.terminate()
    return JSONResponse([out.decode().strip(), child.returncode,
                         await shell.wait(),
                         await slow.wait() == -signal.SIGTERM])


async def sockets(request):
    """A server of the application's own, and a client of it."""
    async def upper(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(upper, "127.0.0.1", 0,
                                        limit=1 << 20)
    host, port = server.sockets[0].getsockname()
    async with server:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"one\n" + b"x" * 300000 + b"\n")
        one = await reader.readline()
        size = len(await reader.readexactly(300001))
        writer.close()
        await writer.wait_closed()
    loop = asyncio.get_running_loop()
    names = await loop.getaddrinfo("localhost", 80)
    return JSONResponse([one.decode(), size, bool(names)])


async def gathered(request):
    """Thousands of short-lived tasks and timers."""
    n = int(request.query_params["n"])
    ends = await asyncio.gather(*(asyncio.sleep(i % 7 / 1000, i)
                                  for i in range(n)))
    return JSONResponse(ends == list(range(n)))


app = Starlette(lifespan=lifespan, routes=[
    Route("/" + f.__name__, f) for f in (
        hello, sqlite, postgres, itself, groups, taskgroup, context, threads,
        subprocess, sockets, gathered)])
