"""Packages that applications rest on."""
import asyncio
import sqlite3

import pytest

anyio = pytest.importorskip('anyio')
aiosqlite = pytest.importorskip('aiosqlite')
httpx = pytest.importorskip('httpx')


def test_anyio(run):
    async def work(i, out):
        await anyio.sleep(0.001)
        out.append(i)

    async def main():
        out = []
        async with anyio.create_task_group() as tg:
            for i in range(5):
                tg.start_soon(work, i, out)
        assert sorted(out) == [0, 1, 2, 3, 4]
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(3600)
        assert scope.cancelled_caught
        assert await anyio.to_thread.run_sync(lambda: 5) == 5
        assert await anyio.to_thread.run_sync(
            lambda: anyio.from_thread.run(anyio.sleep, 0)) is None
        send, receive = anyio.create_memory_object_stream(1)
        async with send, receive, anyio.create_task_group() as tg:
            tg.start_soon(send.send, 'x')
            assert await receive.receive() == 'x'
        p = await anyio.run_process(['echo', 'hi'])
        assert p.stdout == b'hi\n'
        with pytest.raises(ExceptionGroup):
            async with anyio.create_task_group() as tg:
                tg.start_soon(anyio.sleep, 10)
                raise ValueError

    run(main())


def test_anyio_tcp(run):
    async def handle(client):
        async with client:
            await client.send(await client.receive())

    async def main():
        listener = await anyio.create_tcp_listener(local_host='127.0.0.1')
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, handle)
            async with await anyio.connect_tcp('127.0.0.1', port) as s:
                await s.send(b'hello')
                assert await s.receive() == b'hello'
            tg.cancel_scope.cancel()

    run(main())


def test_aiosqlite(run, tmp_path):
    async def main():
        async with aiosqlite.connect(tmp_path / 'db') as db:
            await db.execute('create table t (x)')
            await db.executemany('insert into t values (?)',
                                 [(i,) for i in range(50)])
            await db.commit()
            async with db.execute('select sum(x) from t') as cur:
                assert await cur.fetchone() == (sum(range(50)),)
            with pytest.raises(sqlite3.OperationalError):
                await db.execute('nonsense')

    run(main())


def test_httpx(run):
    async def serve(reader, writer):
        try:
            while head := await reader.readuntil(b'\r\n\r\n'):
                path = head.split()[1]
                writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n'
                             % len(path) + path)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        writer.close()
        await writer.wait_closed()

    async def main():
        async with await asyncio.start_server(serve, '127.0.0.1',
                                              0) as server:
            port = server.sockets[0].getsockname()[1]
            async with httpx.AsyncClient(trust_env=False,
                                         timeout=60) as client:
                rs = await asyncio.gather(*(
                    client.get(f'http://127.0.0.1:{port}/{i}')
                    for i in range(20)))
                assert [r.text for r in rs] == [f'/{i}' for i in range(20)]

    run(main())
