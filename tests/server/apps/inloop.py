"""asyncio inside the application: each path tries one thing and says
"ok", or lets its assertion escape (a 500)."""
import asyncio
import concurrent.futures
import contextvars
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from util import gate, note, read_body, reply, service

NAMES = set()
VAR = contextvars.ContextVar("VAR", default="unset")


async def t_sleep(scope):
    loop = asyncio.get_running_loop()
    t = loop.time()
    await asyncio.sleep(0.05)
    assert 0.04 < loop.time() - t < 60
    await asyncio.sleep(0)
    assert abs(loop.time() - time.monotonic()) < 60


async def t_task(scope):
    task = asyncio.current_task()
    assert type(task) is asyncio.Task, type(task)
    assert task in asyncio.all_tasks()
    assert task.get_coro() is not None
    assert not task.done()
    await asyncio.sleep(0)
    assert asyncio.current_task() is task
    assert task.cancelling() == 0


async def t_children(scope):
    async def child(n):
        await asyncio.sleep(0.001 * (n % 3))
        return n
    tasks = [asyncio.create_task(child(n)) for n in range(50)]
    assert await asyncio.gather(*tasks) == list(range(50))
    async with asyncio.TaskGroup() as g:
        a = g.create_task(child(1))
    assert a.result() == 1
    try:
        async with asyncio.TaskGroup() as g:
            g.create_task(asyncio.sleep(10))
            g.create_task(child("no number"))
        raise AssertionError("no exception")
    except ExceptionGroup as e:
        assert len(e.exceptions) == 1


async def t_thread(scope):
    me = threading.get_ident()
    other = await asyncio.to_thread(threading.get_ident)
    assert other != me
    together = threading.Barrier(4)
    await asyncio.gather(*(asyncio.to_thread(together.wait, 60)
                           for _ in range(4)))


async def t_executor(scope):
    loop = asyncio.get_running_loop()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        out = await asyncio.gather(*(loop.run_in_executor(pool, pow, 2, n)
                                     for n in range(20)))
    assert out == [2 ** n for n in range(20)]
    try:
        await loop.run_in_executor(None, int, "x")
        raise AssertionError("no exception")
    except ValueError:
        pass


async def t_threadsafe(scope):
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def thread():
        time.sleep(0.02)
        loop.call_soon_threadsafe(done.set)
        f = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, 5), loop)
        out.append(f.result(60))
    out = []
    th = threading.Thread(target=thread)
    th.start()
    await asyncio.wait_for(done.wait(), 60)
    while not out:
        await asyncio.sleep(0.001)
    th.join()
    assert out == [5]


async def t_streams(scope):
    async def serve(reader, writer):
        while data := await reader.readline():
            writer.write(data.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for i in range(20):
            writer.write(b"line %d\n" % i)
            assert await reader.readline() == b"LINE %d\n" % i
        writer.close()
        await writer.wait_closed()
        # far more than the socket buffers hold: drain() must wait and go on
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        line = b"a" * 1000 + b"\n"

        async def feed():
            for _ in range(3000):
                writer.write(line)
                await writer.drain()
            writer.write_eof()
        feeding = asyncio.create_task(feed())
        data = await asyncio.wait_for(reader.read(-1), 600)
        await feeding
        assert data == line.upper() * 3000, len(data)
        writer.close()
        await writer.wait_closed()
    try:
        await asyncio.open_connection("127.0.0.1", port)
        raise AssertionError("still listening")
    except ConnectionRefusedError:
        pass


async def t_unixstreams(scope):
    path = "in-app.sock"

    async def serve(reader, writer):
        writer.write(await reader.read(100))
        writer.close()
    server = await asyncio.start_unix_server(serve, path)
    async with server:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"abc")
        assert await reader.read() == b"abc"
        writer.close()
        await writer.wait_closed()
    os.path.exists(path) and os.unlink(path)


async def t_myself(scope):
    """A client of the server it runs in."""
    reader, writer = await asyncio.open_connection(*scope["server"])
    writer.write(b"GET /sleep HTTP/1.0\r\n\r\n")
    data = await asyncio.wait_for(reader.read(), 60)
    assert data.endswith(b"ok"), data
    writer.close()
    await writer.wait_closed()


async def t_executable(scope):
    """sys.executable is a Python of this very version."""
    p = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import sys; print(sys.version_info[:2])",
        stdout=subprocess.PIPE)
    out, _ = await p.communicate()
    assert out.decode().strip() == repr(sys.version_info[:2]), out


async def t_subprocess(scope):
    p = await asyncio.create_subprocess_exec(
        "sh", "-c", "tr abc xyz; exit 3",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = await p.communicate(b"abc")
    assert out == b"xyz", out
    assert p.returncode == 3
    p = await asyncio.create_subprocess_exec("sleep", "30")
    p.terminate()
    assert await p.wait() == -signal.SIGTERM
    # what a child inherits: no signal blocked, none ignored that Python
    # does not ignore itself
    p = await asyncio.create_subprocess_shell(
        "grep -E 'SigBlk' /proc/self/status", stdout=subprocess.PIPE)
    out, _ = await p.communicate()
    assert int(out.split()[1], 16) == 0, out
    # and no descriptor of ours
    p = await asyncio.create_subprocess_shell(
        "ls -l /proc/self/fd", stdout=subprocess.PIPE)
    out, _ = await p.communicate()
    assert b"socket:" not in out and b"eventpoll" not in out, out


async def t_signal(scope):
    loop = asyncio.get_running_loop()
    got = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR2, got.set)
    os.kill(os.getpid(), signal.SIGUSR2)
    await asyncio.wait_for(got.wait(), 60)
    assert loop.remove_signal_handler(signal.SIGUSR2)
    assert not loop.remove_signal_handler(signal.SIGUSR2)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)


async def t_tasknames(scope):
    """They tell requests apart: by what is asked for, and by number."""
    me = asyncio.current_task()
    assert "GET /tasknames" in repr(me), repr(me)
    assert me.get_name() in repr(me), repr(me)
    assert me.get_name() not in NAMES, me.get_name()
    NAMES.add(me.get_name())
    assert me.get_coro().cr_code.co_name == "app"
    others = [t.get_name() for t in asyncio.all_tasks()]
    assert len(set(others)) == len(others), others
    await asyncio.sleep(0)


async def t_timeout(scope):
    try:
        async with asyncio.timeout(0.02):
            await asyncio.sleep(10)
        raise AssertionError("no timeout")
    except TimeoutError:
        pass
    assert asyncio.current_task().cancelling() == 0
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.02)
        raise AssertionError("no timeout")
    except asyncio.TimeoutError:
        pass


async def t_early(scope):
    """Before the first suspension: asyncio.timeout needs current_task."""
    async with asyncio.timeout(60):
        pass
    async with asyncio.TaskGroup() as g:
        g.create_task(asyncio.sleep(0))


async def t_reader(scope):
    loop = asyncio.get_running_loop()
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    got = loop.create_future()
    loop.add_reader(a, lambda: got.done() or got.set_result(a.recv(10)))
    b.send(b"x")
    assert await asyncio.wait_for(got, 60) == b"x"
    assert loop.remove_reader(a)
    assert not loop.remove_reader(a)
    await loop.sock_sendall(a, b"yy")
    assert await loop.sock_recv(b, 10) == b"yy"
    a.close()
    b.close()


async def t_datagram(scope):
    loop = asyncio.get_running_loop()
    got = loop.create_future()

    class P(asyncio.DatagramProtocol):
        def datagram_received(self, data, addr):
            got.done() or got.set_result(data)
    t, _ = await loop.create_datagram_endpoint(
        P, local_addr=("127.0.0.1", 0))
    c, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol,
        remote_addr=t.get_extra_info("sockname"))
    c.sendto(b"ping")
    assert await asyncio.wait_for(got, 60) == b"ping"
    c.close()
    t.close()
    await asyncio.sleep(0)


async def t_order(scope):
    loop = asyncio.get_running_loop()
    out = []
    done = loop.create_future()
    two = loop.call_later(0.02, out.append, "later2")
    one = loop.call_later(0.01, out.append, "later1")
    loop.call_soon(out.append, "soon1")
    loop.call_soon(out.append, "soon2")
    h = loop.call_soon(out.append, "never")
    h.cancel()
    at = loop.time() + 0.03
    loop.call_at(at, out.append, "at1")
    loop.call_at(at, out.append, "at2")
    loop.call_later(0.05, done.set_result, None)
    await done
    later = ["later1", "later2"]
    if two.when() < one.when():     # we were not so quick
        later.reverse()
    assert out == ["soon1", "soon2", *later, "at1", "at2"], out


async def t_getaddrinfo(scope):
    loop = asyncio.get_running_loop()
    r = await loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
    assert r


async def t_asyncgen(scope):
    async def gen():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            note("closed")
    async for x in gen():
        break
    del x
    import gc
    gc.collect()
    await asyncio.sleep(0.01)


async def t_loop(scope):
    loop = asyncio.get_running_loop()
    assert isinstance(loop, asyncio.SelectorEventLoop), type(loop).__mro__
    assert loop.is_running() and not loop.is_closed()
    assert asyncio.get_event_loop() is loop
    try:
        loop.run_forever()
        raise AssertionError("nested run_forever")
    except RuntimeError:
        pass
    coro = t_sleep(scope)
    try:
        asyncio.run(coro)
        raise AssertionError("nested asyncio.run")
    except RuntimeError:
        coro.close()
    assert threading.current_thread() is threading.main_thread()


async def t_runelsewhere(scope):
    """asyncio.run in a thread gets a loop that works."""
    async def inner():
        await asyncio.sleep(0.01)
        return 5
    assert await asyncio.to_thread(lambda: asyncio.run(inner())) == 5


async def t_setvar(scope):
    assert VAR.get() == "unset", VAR.get()
    VAR.set(scope["query_string"])
    await asyncio.sleep(0.005)
    assert VAR.get() == scope["query_string"], VAR.get()
    seen = await asyncio.to_thread(VAR.get)
    assert seen == scope["query_string"], seen


async def t_setvarfast(scope):
    """Without a suspension."""
    assert VAR.get() == "unset", VAR.get()
    VAR.set(scope["query_string"])


async def t_setvarreceive(scope):
    assert VAR.get() == "unset", VAR.get()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        VAR.set("from the lifespan")
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if await service(scope, receive, send):
        return
    if scope["path"] == "/varbody":
        VAR.set(scope["query_string"])
        await gate("var").wait()
        await read_body(receive)
        await reply(send, repr(VAR.get()))
        assert VAR.get() == scope["query_string"]
        return
    await globals()["t_" + scope["path"][1:]](scope)
    await reply(send, b"ok")
