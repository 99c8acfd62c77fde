"""What applications do with a loop: tasks, streams, sockets, children,
signals, executors, TLS."""
import asyncio
import contextvars
import functools
import os
import signal
import socket
import ssl
import sys
import threading
import time

import pytest

CERT = os.path.join(os.path.dirname(__file__), 'cert.pem')


# ---- tasks and timeouts ------------------------------------------------

def test_sleep_and_gather(run):
    async def work(i):
        await asyncio.sleep(0.001 * (5 - i))
        return i

    async def main():
        return await asyncio.gather(*map(work, range(5)))

    assert run(main()) == [0, 1, 2, 3, 4]


def test_tasks_run_in_order(run):
    seen = []

    async def work(i):
        seen.append(i)
        await asyncio.sleep(0)
        seen.append(i + 10)

    async def main():
        tasks = [asyncio.create_task(work(i)) for i in range(3)]
        for t in tasks:
            await t

    run(main())
    assert seen == [0, 1, 2, 10, 11, 12]


def test_create_task_arguments(loop, run):
    var = contextvars.ContextVar('v')

    async def work():
        var.set(1)
        return asyncio.current_task().get_name()

    async def main():
        ctx = contextvars.copy_context()
        assert await loop.create_task(work(), name='n', context=ctx) == 'n'
        assert ctx[var] == 1
        assert await loop.create_task(work(), name='m') == 'm'
        assert (await loop.create_task(work())).startswith('Task-')
        assert (await loop.create_task(work(), name=None)).startswith('Task')
        with pytest.raises(TypeError):
            loop.create_task(5)
        with pytest.raises(TypeError):
            loop.create_task()
        c = work()
        with pytest.raises(TypeError):
            loop.create_task(c, nonsense=1)
        c.close()
        f = loop.create_future()
        assert f.get_loop() is loop
        f.cancel()

    run(main())


def test_task_factory(loop, run):
    made = []

    def factory(loop, coro, **kwargs):
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **kwargs)

    async def work():
        return 1

    async def main():
        loop.set_task_factory(factory)
        assert loop.get_task_factory() is factory
        assert await asyncio.create_task(work()) == 1
        loop.set_task_factory(None)
        assert await asyncio.create_task(work()) == 1

    run(main())
    assert len(made) == 1


def test_all_tasks(run):
    async def work():
        await asyncio.sleep(0)

    async def main():
        t = asyncio.create_task(work())
        both = asyncio.all_tasks()
        await t
        return both == {t, asyncio.current_task()}, asyncio.all_tasks()

    ok, left = run(main())
    assert ok and len(left) == 1


def test_timeouts(run):
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(3600)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(3600), 0.01)
        async with asyncio.timeout(3600):
            await asyncio.sleep(0)

    run(main())


def test_cancel_and_shield(run):
    async def main():
        inner = asyncio.create_task(asyncio.sleep(0.005, 'done'))

        async def outer():
            await asyncio.shield(inner)

        t = asyncio.create_task(outer())
        await asyncio.sleep(0)
        t.cancel()
        with pytest.raises(asyncio.CancelledError):
            await t
        assert await inner == 'done'

    run(main())


def test_task_group(run):
    async def main():
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as tg:
                tg.create_task(asyncio.sleep(10))
                tg.create_task(fail())

    async def fail():
        raise ValueError

    run(main())


def test_locks_queues_events(run):
    async def main():
        q = asyncio.Queue(2)
        lock, ev = asyncio.Lock(), asyncio.Event()
        got = []

        async def producer():
            for i in range(20):
                async with lock:
                    await q.put(i)
            ev.set()

        async def consumer():
            while len(got) < 20:
                got.append(await q.get())

        await asyncio.gather(producer(), consumer(), ev.wait())
        assert got == list(range(20))

    run(main())


def test_async_generators_are_closed(loop):
    seen = []

    async def gen():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            seen.append('closed')

    async def main():
        async for _ in gen():
            break

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert seen == ['closed']


def test_run_until_complete(loop):
    async def fail():
        raise ValueError('no')

    async def leave():
        raise KeyboardInterrupt

    with pytest.raises(ValueError):
        loop.run_until_complete(fail())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(leave())
    f = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match='stopped before'):
        loop.run_until_complete(f)
    f.cancel()
    assert loop.run_until_complete(asyncio.sleep(0, 5)) == 5


def test_runner(kind):
    from conftest import LOOPS
    seen = []

    async def main():
        seen.append(type(asyncio.get_running_loop()))
        await asyncio.to_thread(time.sleep, 0)
        return 3

    with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        assert runner.run(main()) == 3
        assert runner.run(main()) == 3
    assert seen == [LOOPS[kind]] * 2


# ---- executors ---------------------------------------------------------

def test_executors(loop, run):
    var = contextvars.ContextVar('v', default=0)

    async def main():
        var.set(7)
        assert await asyncio.to_thread(var.get) == 7
        assert await loop.run_in_executor(None, functools.partial(int, '5')
                                          ) == 5
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.01)
                               for _ in range(8)))
        infos = await loop.getaddrinfo('127.0.0.1', 80,
                                       type=socket.SOCK_STREAM)
        assert infos[0][4] == ('127.0.0.1', 80)

    run(main())


# ---- streams -----------------------------------------------------------

async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.fixture(params=['tcp', 'unix'])
def endpoint(request, tmp_path):
    """(start a server, connect to it)"""
    if request.param == 'unix':
        path = str(tmp_path / 'sock')
        return (functools.partial(asyncio.start_unix_server, path=path),
                lambda server: asyncio.open_unix_connection(path))
    return (functools.partial(asyncio.start_server, host='127.0.0.1', port=0),
            lambda server: asyncio.open_connection(
                *server.sockets[0].getsockname()))


def test_streams_echo(run, endpoint):
    start, connect = endpoint

    async def client(server, i):
        reader, writer = await connect(server)
        for n in 1, 10, 1000, 100000:
            data = os.urandom(n)
            writer.write(data)
            assert await reader.readexactly(n) == data
        writer.write_eof()
        assert await reader.read() == b''
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await start(echo)
        async with server:
            await asyncio.gather(*(client(server, i) for i in range(10)))

    run(main())


def test_streams_back_pressure(run, endpoint):
    start, connect = endpoint
    size = 8 << 20

    async def slow(reader, writer):
        got = 0
        while data := await reader.read(65536):
            got += len(data)
            await asyncio.sleep(0)
        writer.write(str(got).encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main():
        async with await start(slow) as server:
            reader, writer = await connect(server)
            for _ in range(size >> 16):
                writer.write(b'x' * 65536)
                await writer.drain()
            writer.write_eof()
            assert int(await reader.read()) == size
            writer.close()
            await writer.wait_closed()

    run(main())


def test_peer_goes_away(run, endpoint):
    start, connect = endpoint

    async def main():
        done = asyncio.Event()

        async def handler(reader, writer):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                while True:
                    writer.write(b'x' * 65536)
                    await writer.drain()
            writer.close()
            try:
                await writer.wait_closed()
            except ConnectionError:
                pass
            done.set()

        async with await start(handler) as server:
            reader, writer = await connect(server)
            await reader.read(10)
            writer.transport.abort()
            await asyncio.wait_for(done.wait(), 60)

    run(main())


def test_transport_pause_resume_and_repr(loop, run):
    a, b = socket.socketpair()

    class Protocol(asyncio.Protocol):
        def __init__(self):
            self.data = b''

        def data_received(self, data):
            self.data += data

    async def main():
        tr, pr = await loop.create_connection(Protocol, sock=a)
        assert 'read=polling' in repr(tr)
        tr.pause_reading()
        assert 'read=idle' in repr(tr)
        b.send(b'x')
        await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        assert pr.data == b''
        tr.resume_reading()
        while not pr.data:
            await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match='used by transport'):
            loop.add_reader(a.fileno(), print)
        tr.close()
        await asyncio.sleep(0)
        b.close()

    run(main())


def test_connection_refused(run):
    s = socket.socket()
    s.bind(('127.0.0.1', 0))        # bound, not listening

    async def main():
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*s.getsockname())

    run(main())
    s.close()


# ---- sockets -----------------------------------------------------------

def test_sock_methods(loop, run):
    async def serve(srv):
        conn, _ = await loop.sock_accept(srv)
        with conn:
            while data := await loop.sock_recv(conn, 1000):
                await loop.sock_sendall(conn, data)

    async def main():
        with socket.socket() as srv, socket.socket() as c:
            srv.setblocking(False)
            c.setblocking(False)
            srv.bind(('127.0.0.1', 0))
            srv.listen()
            t = asyncio.create_task(serve(srv))
            await loop.sock_connect(c, srv.getsockname())
            for i in range(5):
                await loop.sock_sendall(c, b'abc')
                buf = bytearray(10)
                n = await loop.sock_recv_into(c, buf)
                assert bytes(buf[:n]) == b'abc'
            big = os.urandom(1 << 20)
            send = asyncio.create_task(loop.sock_sendall(c, big))
            got = b''
            while len(got) < len(big):
                got += await loop.sock_recv(c, 1 << 16)
            assert got == big
            await send
            t2 = asyncio.create_task(loop.sock_recv(c, 10))
            await asyncio.sleep(0)
            t2.cancel()
            with pytest.raises(asyncio.CancelledError):
                await t2
            c.shutdown(socket.SHUT_WR)
            await t

    run(main())


def test_sendfile(loop, run, tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(os.urandom(300000))

    async def main():
        async def handler(reader, writer):
            with open(path, 'rb') as f:
                await loop.sendfile(writer.transport, f)
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(handler, '127.0.0.1',
                                              0) as server:
            r, w = await asyncio.open_connection(
                *server.sockets[0].getsockname())
            assert await r.read() == path.read_bytes()
            w.close()
            await w.wait_closed()

    run(main())


def test_datagrams(loop, run):
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(data.upper(), addr)

    class Client(asyncio.DatagramProtocol):
        def __init__(self):
            self.got = asyncio.Queue()

        def datagram_received(self, data, addr):
            self.got.put_nowait(data)

    async def main():
        st, _ = await loop.create_datagram_endpoint(
            Echo, local_addr=('127.0.0.1', 0))
        ct, c = await loop.create_datagram_endpoint(
            Client, remote_addr=st.get_extra_info('sockname'))
        for i in range(5):
            ct.sendto(b'abc')
            assert await asyncio.wait_for(c.got.get(), 60) == b'ABC'
        ct.close()
        st.close()
        await asyncio.sleep(0)

    run(main())


def test_pipes(loop, run):
    async def main():
        r, w = os.pipe()
        reader = asyncio.StreamReader()
        rt, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(r, 'rb'))
        wt, _ = await loop.connect_write_pipe(asyncio.Protocol,
                                              os.fdopen(w, 'wb'))
        assert 'polling' in repr(rt)
        wt.write(b'through')
        wt.close()
        assert await reader.read() == b'through'
        rt.close()
        await asyncio.sleep(0)

    run(main())


# ---- TLS ---------------------------------------------------------------

def test_tls(run):
    server_ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_ctx.load_cert_chain(CERT)
    client_ctx = ssl.create_default_context(cafile=CERT)

    async def main():
        async with await asyncio.start_server(echo, '127.0.0.1', 0,
                                              ssl=server_ctx) as server:
            r, w = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=client_ctx,
                server_hostname='localhost')
            data = os.urandom(500000)
            w.write(data)
            assert await r.readexactly(len(data)) == data
            w.close()
            await w.wait_closed()
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection(
                    *server.sockets[0].getsockname(), ssl=True,
                    server_hostname='localhost')

    run(main())


def test_start_tls(run):
    server_ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_ctx.load_cert_chain(CERT)
    client_ctx = ssl.create_default_context(cafile=CERT)

    async def handler(reader, writer):
        assert await reader.readline() == b'STARTTLS\n'
        writer.write(b'OK\n')
        await writer.drain()
        await writer.start_tls(server_ctx)
        await echo(reader, writer)

    async def main():
        async with await asyncio.start_server(handler, '127.0.0.1',
                                              0) as server:
            r, w = await asyncio.open_connection(
                *server.sockets[0].getsockname())
            w.write(b'STARTTLS\n')
            assert await r.readline() == b'OK\n'
            await w.start_tls(client_ctx, server_hostname='localhost')
            w.write(b'secret')
            assert await r.readexactly(6) == b'secret'
            w.close()
            await w.wait_closed()

    run(main())


# ---- children ----------------------------------------------------------

def test_subprocess(run):
    async def main():
        p = await asyncio.create_subprocess_exec(
            'cat', stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE)
        data = b'x' * 300000
        out, err = await p.communicate(data)
        assert out == data and p.returncode == 0
        p = await asyncio.create_subprocess_shell('echo err >&2; exit 3',
                                                  stderr=-1)
        assert (await p.communicate())[1] == b'err\n'
        assert p.returncode == 3
        p = await asyncio.create_subprocess_exec('sleep', '100')
        p.kill()
        assert await p.wait() == -9
        ps = [await asyncio.create_subprocess_exec('true')
              for _ in range(5)]
        assert [await p.wait() for p in ps] == [0] * 5

    run(main())


# ---- signals -----------------------------------------------------------

def test_signal_handlers(loop, run):
    async def main():
        got = asyncio.Queue()
        loop.add_signal_handler(signal.SIGUSR1, got.put_nowait, 1)
        loop.add_signal_handler(signal.SIGUSR2, got.put_nowait, 2)
        for n in range(3):
            os.kill(os.getpid(), signal.SIGUSR1)
            assert await asyncio.wait_for(got.get(), 60) == 1
            os.kill(os.getpid(), signal.SIGUSR2)
            assert await asyncio.wait_for(got.get(), 60) == 2
        assert loop.remove_signal_handler(signal.SIGUSR1)
        assert loop.remove_signal_handler(signal.SIGUSR2)
        assert not loop.remove_signal_handler(signal.SIGUSR2)

    run(main())


def wait_then_kill(signo, loop):
    """From another thread, once the main one sleeps: in the loop, or for the
    GIL on its way there."""
    main = threading.main_thread().native_id
    while True:
        with open(f'/proc/self/task/{main}/stat') as f:
            if f.read().rpartition(')')[2].split()[0] == 'S':
                break
    signal.pthread_kill(threading.main_thread().ident, signo)


def test_signal_handler_wakes_a_sleeping_loop(loop):
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    t = threading.Thread(target=wait_then_kill, args=(signal.SIGUSR1, loop))
    loop.call_soon(t.start)
    loop.run_forever()
    t.join()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_plain_signal_handler_runs_in_a_sleeping_loop(loop, kind):
    """signal.signal(): nothing but EINTR tells the loop. A signal just before
    it sleeps tells nothing at all: it is sent until it was heard."""
    heard = []

    def handler(*args):
        if not heard:
            loop.stop()
        heard.append(1)

    def send():
        while not heard:
            wait_then_kill(signal.SIGUSR1, loop)
            time.sleep(0.01)

    def tick():
        nonlocal h
        h = loop.call_later(0.05, tick)

    h = None
    if kind == 'asyncio':       # sees the stop in its next turn only
        tick()
    old = signal.signal(signal.SIGUSR1, handler)
    t = threading.Thread(target=send)
    loop.call_soon(t.start)
    loop.run_forever()
    t.join()
    if h is not None:
        h.cancel()
    signal.signal(signal.SIGUSR1, old)


def test_keyboard_interrupt_in_a_sleeping_loop(loop):
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    h = loop.call_later(10, loop.stop)
    t = threading.Thread(target=wait_then_kill, args=(signal.SIGINT, loop))
    loop.call_soon(t.start)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    t.join()
    h.cancel()
    signal.signal(signal.SIGINT, old)
    assert loop.run_until_complete(asyncio.sleep(0, 1)) == 1
