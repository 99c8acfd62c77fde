"""Micro-benchmark of event loops: asyncio, uvloop (when installed), ours.

Run by the pyloop program of the build tree:

    PYLOOP_PYTHON=venv/bin/python tests/loop/pyloop tests/bench/loop.py

Rounds are interleaved; each figure is the best of them, in nanoseconds an
operation.
"""
import argparse
import asyncio
import sys
import time

import _asgid

LOOPS = {'asyncio': asyncio.SelectorEventLoop, 'asgid': _asgid.Loop}
try:
    import uvloop
    LOOPS['uvloop'] = uvloop.Loop
except ImportError:
    pass


def timed(loop, n, start):
    t0 = time.perf_counter()
    start()
    loop.run_forever()
    return (time.perf_counter() - t0) / n * 1e9


def call_soon_turns(loop, n=50000):
    """One callback a turn, which adds the next."""
    left = n

    def again():
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(again)
        else:
            loop.stop()

    return timed(loop, n, again)


def call_soon_batch(loop, n=100000):
    """1000 callbacks a turn."""
    def nothing(x):
        pass

    left = n // 1000

    def batch():
        nonlocal left
        soon = loop.call_soon
        for i in range(1000):
            soon(nothing, i)
        left -= 1
        soon(batch if left else loop.stop)

    return timed(loop, n, batch)


def call_later_cancel(loop, n=100000):
    """Timers that are cancelled, as timeouts are."""
    left = n // 1000

    def batch():
        nonlocal left
        for i in range(1000):
            loop.call_later(10, print, i).cancel()
        left -= 1
        loop.call_soon(batch if left else loop.stop)

    return timed(loop, n, batch)


def call_later_fire(loop, n=50000):
    """Timers that run."""
    left = n

    def fire(x):
        nonlocal left
        left -= 1
        if not left:
            loop.stop()

    def start():
        for i in range(n):
            loop.call_later(0, fire, i)

    return timed(loop, n, start)


def future(loop, n=100000):
    """A future awaited and resolved: two turns."""
    async def main():
        for _ in range(n // 10):
            f = loop.create_future()
            loop.call_soon(f.set_result, None)
            await f

    t0 = time.perf_counter()
    loop.run_until_complete(main())
    return (time.perf_counter() - t0) / (n // 10) * 1e9


def task(loop, n=50000):
    """create_task() and await it, 100 at a time."""
    async def work():
        pass

    async def main():
        for _ in range(n // 100):
            for t in [loop.create_task(work()) for _ in range(100)]:
                await t

    t0 = time.perf_counter()
    loop.run_until_complete(main())
    return (time.perf_counter() - t0) / n * 1e9


def spawn(loop, n=50000):
    """A request's task, which never waits (ours: aloop_spawn)."""
    async def work():
        pass

    def ours():
        for i in range(n):
            _asgid.spawn(loop, work())
        loop.stop()

    if isinstance(loop, _asgid.Loop):
        return timed(loop, n, lambda: loop.call_soon(ours))
    return task(loop, n)


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Pinger(asyncio.Protocol):
    def __init__(self, n, done):
        self.left = n
        self.done = done

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b'x' * 1000)

    def data_received(self, data):
        self.left -= 1
        if self.left:
            self.transport.write(data)
        else:
            self.transport.close()
            self.done.set_result(None)


def echo_protocol(loop, n=20000, connections=20):
    """A round trip of 1000 bytes over TCP, both ends in this loop."""
    async def main():
        server = await loop.create_server(Echo, '127.0.0.1', 0)
        host, port = server.sockets[0].getsockname()
        dones = [loop.create_future() for _ in range(connections)]
        t0 = time.perf_counter()
        for done in dones:
            await loop.create_connection(
                lambda: Pinger(n // connections, done), host, port)
        await asyncio.gather(*dones)
        t = time.perf_counter() - t0
        server.close()
        await server.wait_closed()
        return t / n * 1e9

    return loop.run_until_complete(main())


def echo_streams(loop, n=10000, connections=20):
    """The same by streams."""
    async def serve(reader, writer):
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    async def ping(host, port):
        reader, writer = await asyncio.open_connection(host, port)
        for _ in range(n // connections):
            writer.write(b'x' * 1000)
            await reader.readexactly(1000)
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, '127.0.0.1', 0)
        host, port = server.sockets[0].getsockname()
        t0 = time.perf_counter()
        await asyncio.gather(*(ping(host, port) for _ in range(connections)))
        t = time.perf_counter() - t0
        server.close()
        await server.wait_closed()
        return t / n * 1e9

    return loop.run_until_complete(main())


def to_thread(loop, n=2000):
    """A round trip to the thread pool."""
    async def main():
        await asyncio.to_thread(int)
        t0 = time.perf_counter()
        for _ in range(n):
            await asyncio.to_thread(int)
        t = (time.perf_counter() - t0) / n * 1e9
        await loop.shutdown_default_executor()
        return t

    return loop.run_until_complete(main())


CASES = [call_soon_turns, call_soon_batch, call_later_cancel,
         call_later_fire, future, task, spawn, echo_protocol, echo_streams,
         to_thread]


def measure(case, make):
    loop = make()
    asyncio.set_event_loop(loop)
    try:
        return case(loop)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('case', nargs='*')
    args = p.parse_args()
    print(f'Python {sys.version.split()[0]}, ns an operation, best of '
          f'{args.rounds}')
    print(f'{"":20}' + ''.join(f'{name:>10}' for name in LOOPS))
    for case in CASES:
        if args.case and case.__name__ not in args.case:
            continue
        best = dict.fromkeys(LOOPS, float('inf'))
        for _ in range(args.rounds):
            for name, make in LOOPS.items():
                best[name] = min(best[name], measure(case, make))
        print(f'{case.__name__:20}'
              + ''.join(f'{best[name]:10.0f}' for name in LOOPS))


if __name__ == '__main__':
    main()
