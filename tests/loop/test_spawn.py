"""aloop_spawn(): a request's coroutine as a Task that starts at once."""
import asyncio
import contextvars
import gc
import sys
import weakref

import pytest

import _asgid

var = contextvars.ContextVar('var', default=None)


@pytest.fixture
def ours():
    loop = _asgid.Loop()
    yield loop
    loop.close()


def in_loop(loop, func, turns=1):
    """func() called by the loop, which then makes some turns."""
    box = []

    def call():
        try:
            box.append(func())
        finally:
            again(turns)

    def again(n):
        if n:
            loop.call_soon(again, n - 1)
        else:
            loop.stop()

    loop.call_soon(call)
    loop.run_forever()
    return box[0]


def test_done_at_once(ours):
    seen = []

    async def work():
        seen.append(asyncio.current_task())
        assert asyncio.get_running_loop() is ours
        return 5

    def spawn():
        t = _asgid.spawn(ours, work())
        assert asyncio.current_task(ours) is None
        assert seen == [t] and t.done() and t.result() == 5
        return t

    t = in_loop(ours, spawn)
    assert isinstance(t, asyncio.Task)
    assert t.get_name().startswith('request-')


def test_names_are_told_apart(ours):
    """Whoever holds the task, its name or neither; and a name stays."""
    async def work():
        return asyncio.current_task().get_name()

    def spawn():
        kept, names, seen = [], [], set()
        for n in range(2500):
            t = _asgid.spawn(ours, work())
            if n % 5 == 0:
                kept.append((t, t.result()))
            elif n % 7 == 0:
                names.append((sys.intern(t.get_name()), str(n)))
            elif n % 11 == 0:
                names.append((t.get_name(), str(hash(t.get_name()))))
            seen.add(t.result()[:8] + t.result()[8:])
            del t
        assert len(seen) == 2500
        assert all(t.get_name() == name for t, name in kept)
        every = [name for _, name in kept] + [name for name, _ in names]
        assert len(set(every)) == len(every)
        assert {name: 1 for name in every}.keys() <= seen

    in_loop(ours, spawn)


def test_goes_on_like_any_task(ours):
    seen = []

    async def work():
        seen.append(1)
        await asyncio.sleep(0)
        seen.append(2)
        assert asyncio.current_task() in asyncio.all_tasks()
        async with asyncio.timeout(60):
            await asyncio.sleep(0.001)
        await asyncio.to_thread(seen.append, 3)
        return 'end'

    def spawn():
        t = _asgid.spawn(ours, work())
        assert seen == [1] and not t.done()
        assert t in asyncio.all_tasks(ours)
        t.add_done_callback(lambda t: ours.stop())
        return t

    box = []
    ours.call_soon(lambda: box.append(spawn()))
    ours.run_forever()
    assert box[0].result() == 'end' and seen == [1, 2, 3]
    ours.run_until_complete(ours.shutdown_default_executor())


def test_first_step_comes_before_what_is_queued(ours):
    seen = []

    async def work():
        seen.append('step')
        await asyncio.sleep(0)
        seen.append('second')

    def spawn():
        ours.call_soon(seen.append, 'queued')
        return _asgid.spawn(ours, work())

    in_loop(ours, spawn, 3)
    assert seen == ['step', 'queued', 'second']


def test_each_has_its_own_context(ours):
    async def work(x):
        assert var.get() == 'server'
        var.set(x)
        await asyncio.sleep(0)
        assert var.get() == x

    def spawn():
        var.set('server')
        ts = [_asgid.spawn(ours, work(i)) for i in range(3)]
        assert var.get() == 'server'
        return ts

    for t in in_loop(ours, spawn, 3):
        t.result()


def test_exception_is_the_tasks(ours):
    async def work():
        raise ValueError('no')

    t = in_loop(ours, lambda: _asgid.spawn(ours, work()))
    with pytest.raises(ValueError):
        t.result()


@pytest.mark.parametrize('exc', [SystemExit, KeyboardInterrupt])
def test_these_come_out(ours, exc):
    async def work():
        raise exc

    def spawn():
        with pytest.raises(exc):
            _asgid.spawn(ours, work())
        assert asyncio.current_task(ours) is None
        return 1

    assert in_loop(ours, spawn) == 1


def test_cancelled_while_it_waits(ours):
    async def work():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return 'cancelled'

    def spawn():
        t = _asgid.spawn(ours, work())
        t.cancel()
        return t

    assert in_loop(ours, spawn, 3).result() == 'cancelled'


def test_not_a_coroutine(ours):
    def spawn():
        with pytest.raises(TypeError):
            _asgid.spawn(ours, 5)
        # and the next one is not confused by it
        ours.call_soon(seen.append, 'queued')
        return _asgid.spawn(ours, work())

    seen = []

    async def work():
        seen.append('step')

    in_loop(ours, spawn)
    assert seen == ['step', 'queued']


def test_closed_loop():
    loop = _asgid.Loop()
    loop.close()
    c = asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        _asgid.spawn(loop, c)
    c.close()


def python_task():
    class Task(asyncio.tasks._PyTask):
        pass
    return Task


FACTORIES = {
    'plain': lambda loop, coro, **kw: asyncio.Task(coro, loop=loop, **kw),
    'subclass': lambda loop, coro, **kw: type('T', (asyncio.Task,), {})(
        coro, loop=loop, **kw),
    'scheduler': lambda loop, coro, **kw: (
        loop.call_soon(int), asyncio.Task(coro, loop=loop, **kw))[1],
}
if hasattr(asyncio, 'eager_task_factory'):
    FACTORIES['eager'] = asyncio.eager_task_factory


@pytest.mark.parametrize('factory', FACTORIES)
def test_task_factory_is_honoured(ours, factory):
    seen = []
    made = []

    def wrapper(loop, coro, **kw):
        t = FACTORIES[factory](loop, coro, **kw)
        made.append(t)
        return t

    async def work():
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        return 7

    def spawn():
        t = _asgid.spawn(ours, work())
        assert seen == [t] == made
        return t

    ours.set_task_factory(wrapper)
    assert in_loop(ours, spawn, 3).result() == 7


def test_debug_mode(ours):
    async def work():
        await asyncio.sleep(0)
        return 1

    ours.set_debug(True)
    assert in_loop(ours, lambda: _asgid.spawn(ours, work()), 3).result() == 1


def test_nothing_is_kept(ours):
    class Arg:
        pass

    refs = []

    async def work(arg, wait):
        if wait:
            await asyncio.sleep(0)
        return arg

    def spawn():
        for wait in False, True:
            arg = Arg()
            refs.append(weakref.ref(arg))
            refs.append(weakref.ref(_asgid.spawn(ours, work(arg, wait))))
        return 1

    in_loop(ours, spawn, 3)
    gc.collect()
    assert [r() for r in refs] == [None] * 4


def rss():
    with open('/proc/self/statm') as f:
        return int(f.read().split()[1]) * 4096


def test_memory_is_flat(ours):
    """200,000 of each: nothing may stay behind."""
    async def quick():
        pass

    async def slow():
        await asyncio.sleep(0)

    def batch(n):
        for _ in range(n):
            _asgid.spawn(ours, quick())
            _asgid.spawn(ours, slow())
            ours.call_soon(int, '1')
            ours.call_later(0, max, 1, 2, 3)
            ours.call_later(100, print).cancel()
        return 1

    for _ in range(10):
        in_loop(ours, lambda: batch(1000), 3)
    gc.collect()
    before, (hits, misses, in_use, peak) = rss(), _asgid.pool_stats()
    for _ in range(200):
        in_loop(ours, lambda: batch(1000), 3)
    gc.collect()
    with open('/proc/self/maps') as f:
        asan = 'libasan' in f.read()        # keeps what is freed for a while
    # less than one object of each; the kernel may give 2 MiB at once
    assert asan or rss() - before < 8 << 20
    after = _asgid.pool_stats()
    assert after[2] == in_use
    assert after[0] > hits
