"""call_soon, timers, readers: order, cancelling, contexts, errors."""
import asyncio
import contextvars
import gc
import os
import socket
import subprocess
import sys
import threading
import time
import weakref

import pytest

import _asgid

PYLOOP = os.path.realpath('/proc/self/exe')


def run_for(loop, turns=1):
    for _ in range(turns):
        loop.call_soon(loop.stop)
        loop.run_forever()


@pytest.fixture
def pair():
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    yield a, b
    a.close()
    b.close()


# ---- order -------------------------------------------------------------

def test_call_soon_runs_in_order_with_its_arguments(loop):
    seen = []
    for i in range(6):
        loop.call_soon(lambda *a: seen.append(a), *range(i))
    run_for(loop)
    assert seen == [tuple(range(i)) for i in range(6)]


def test_what_a_callback_adds_runs_in_the_next_turn(loop):
    seen = []

    def first():
        seen.append('first')
        loop.call_soon(seen.append, 'third')

    loop.call_soon(first)
    loop.call_soon(seen.append, 'second')
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ['first', 'second']
    run_for(loop)
    assert seen == ['first', 'second', 'third']


def test_stop_before_run_gives_one_turn_that_polls(loop, pair):
    seen = []
    a, b = pair
    loop.add_reader(a, seen.append, 'reader')
    b.send(b'x')
    loop.call_soon(seen.append, 'soon')
    loop.stop()
    loop.run_forever()
    assert seen == ['soon', 'reader']
    loop.remove_reader(a)


def test_soon_then_events_then_timers(loop, pair):
    """One turn: what was ready, then descriptors, then timers."""
    a, b = pair
    seen = []
    b.send(b'x')
    loop.add_reader(a, seen.append, 'reader')
    loop.call_at(loop.time(), seen.append, 'timer')
    loop.call_soon(seen.append, 'soon')
    loop.stop()
    loop.run_forever()
    loop.remove_reader(a)
    assert seen == ['soon', 'reader', 'timer']


def test_timers_run_in_order_of_their_time(loop):
    seen = []
    now = loop.time()
    for i in (5, 1, 4, 2, 3):
        loop.call_at(now + i * 0.002, seen.append, i)
    loop.call_at(now + 0.012, loop.stop)
    loop.run_forever()
    assert seen == [1, 2, 3, 4, 5]


def test_timer_is_never_early(loop):
    late = []

    def check(when):
        late.append(loop.time() - when)

    for i in range(20):
        when = loop.time() + i * 0.00037
        loop.call_at(when, check, when)
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    assert len(late) == 20
    assert min(late) >= -1e-9


def test_zero_and_negative_delays_run_next_turn(loop):
    seen = []
    loop.call_later(0, seen.append, 'zero')
    loop.call_later(-1, seen.append, 'negative')
    run_for(loop, 2)
    assert sorted(seen) == ['negative', 'zero']


def test_infinite_delay_never_runs(loop):
    h = loop.call_later(float('inf'), lambda: 1 / 0)
    run_for(loop, 3)
    h.cancel()


def test_ties_of_ours_run_in_start_order():
    loop = _asgid.Loop()
    seen = []
    when = loop.time()
    for i in range(50):
        loop.call_at(when, seen.append, i)
    run_for(loop)
    loop.close()
    assert seen == list(range(50))


def test_starving_is_impossible(loop, pair):
    """A callback that adds itself for ever leaves descriptors their turn."""
    a, b = pair

    def again():
        loop.call_soon(again)

    again()
    loop.add_reader(a, loop.stop)
    b.send(b'x')
    loop.run_forever()
    loop.remove_reader(a)


# ---- handles -----------------------------------------------------------

def test_cancelled_handles_do_not_run(loop):
    seen = []
    h1 = loop.call_soon(seen.append, 1)
    h2 = loop.call_later(0, seen.append, 2)
    h3 = loop.call_soon(seen.append, 3)
    assert not h1.cancelled()
    h1.cancel()
    h2.cancel()
    h2.cancel()
    assert h1.cancelled() and h2.cancelled() and not h3.cancelled()
    run_for(loop, 2)
    assert seen == [3]
    h3.cancel()                 # after it ran: harmless


def test_callback_cancels_the_next_one(loop):
    seen = []
    handles = []

    def first():
        for h in handles:
            h.cancel()

    loop.call_soon(first)
    handles.append(loop.call_soon(seen.append, 1))
    handles.append(loop.call_at(loop.time(), seen.append, 2))
    run_for(loop, 2)
    assert seen == []


def test_callback_cancels_itself(loop):
    """Its arguments must live until it returns."""
    seen = []
    box = []

    def me(arg, other):
        box[0].cancel()
        gc.collect()
        seen.append((arg, other))

    box.append(loop.call_soon(me, ['a'] * 3, 'b' * 5))
    run_for(loop)
    assert seen == [(['a'] * 3, 'b' * 5)]
    assert box[0].cancelled()


def test_timer_cancels_due_timer(loop):
    seen = []
    when = loop.time()
    loop.call_at(when - 1, lambda: b.cancel())
    b = loop.call_at(when, seen.append, 'b')
    run_for(loop, 2)
    assert seen == []


def test_handle_attributes(loop):
    h = loop.call_soon(print, 1, 2)
    assert h._callback is print and h._args == (1, 2)
    assert h._cancelled is False and h._loop is loop
    assert isinstance(h._context, contextvars.Context)
    assert repr(h).startswith('<Handle print(')  # 3.13 hides arguments
    assert weakref.ref(h)() is h
    h.cancel()
    assert h._callback is None and h._args is None
    assert repr(h) == '<Handle cancelled>'
    for n in (0, 1, 2, 3, 7):
        h = loop.call_soon(print, *range(n))
        assert h._args == tuple(range(n))
        h.cancel()


def test_timer_handle_attributes_and_order(loop):
    now = loop.time() + 1000
    a = loop.call_at(now, print)
    b = loop.call_at(now + 1, print)
    c = loop.call_at(now, print)
    assert a.when() == now and a._scheduled
    assert f'when={now}' in repr(a) and repr(a).startswith('<TimerHandle ')
    assert a < b and a <= b and b > a and b >= a and a != b
    assert a == c and a <= c and a >= c and not a < c
    assert hash(a) == hash(c)
    assert (a == 1) is False
    with pytest.raises(TypeError):
        a < 1
    for h in a, b, c:
        h.cancel()


def test_call_later_returns_its_time(loop):
    t = loop.time()
    h = loop.call_later(5, print)
    assert -1e-6 <= h.when() - t - 5 <= loop.time() - t + 1e-6
    h.cancel()


# ---- arguments ---------------------------------------------------------

def test_wrong_arguments(loop):
    for call in (lambda: loop.call_soon(),
                 lambda: loop.call_later(1),
                 lambda: loop.call_at(),
                 lambda: loop.call_later(None, print),
                 lambda: loop.call_at(None, print),
                 lambda: loop.call_later('x', print),
                 lambda: loop.call_soon(print, nonsense=1)):
        with pytest.raises(TypeError):
            call()


def test_named_arguments(loop):
    seen = []
    loop.call_soon(callback=lambda: seen.append('soon'))
    loop.call_later(delay=0, callback=lambda: seen.append('later'))
    loop.call_at(when=0, callback=lambda: seen.append('at'))
    run_for(loop, 2)
    assert sorted(seen) == ['at', 'later', 'soon']


def test_time_is_monotonic_time(loop):
    a = time.monotonic()
    b = loop.time()
    c = time.monotonic()
    assert a <= b <= c


# ---- contexts ----------------------------------------------------------

var = contextvars.ContextVar('var', default=None)


def test_context_is_copied_when_scheduled(loop):
    seen = []

    def note(where):
        seen.append((where, var.get()))
        var.set('changed inside')

    def schedule():
        var.set('one')
        loop.call_soon(note, 'soon')
        loop.call_later(0, note, 'later')
        loop.call_soon_threadsafe(note, 'threadsafe')
        var.set('two')

    contextvars.copy_context().run(schedule)
    run_for(loop, 2)
    assert sorted(seen) == [('later', 'one'), ('soon', 'one'),
                            ('threadsafe', 'one')]
    assert var.get() is None


def test_explicit_context_is_used_itself(loop):
    ctx = contextvars.copy_context()
    h = loop.call_soon(var.set, 'inside', context=ctx)
    assert h._context is ctx
    run_for(loop)
    assert ctx[var] == 'inside'


def test_context_already_entered(loop, caplog):
    """As with Context.run(): an error for the handler, nothing worse."""
    loop.expected_errors = ['Exception in callback']
    ctx = contextvars.copy_context()
    loop.call_soon(print, context=ctx)
    ctx.run(run_for, loop)
    assert 'is already entered' in caplog.text
    assert ctx.run(lambda: 5) == 5


# ---- errors ------------------------------------------------------------

def test_exception_goes_to_the_handler(loop):
    errors = []
    loop.set_exception_handler(lambda l, c: errors.append((l, c)))

    def fail():
        raise ValueError('so')

    h = loop.call_soon(fail)
    t = loop.call_later(0, fail)
    seen = []
    loop.call_soon(seen.append, 1)
    run_for(loop, 2)
    assert seen == [1]
    assert len(errors) == 2
    got, ctx = errors[0]
    assert got is loop and ctx['handle'] is h
    assert isinstance(ctx['exception'], ValueError)
    assert ctx['exception'].__traceback__ is not None
    assert 'Exception in callback' in ctx['message']
    assert 'fail' in ctx['message']
    del errors[:]


def test_exception_is_logged_by_default(loop, caplog):
    loop.expected_errors = ['Exception in callback']
    loop.call_soon(lambda: 1 / 0)
    run_for(loop)
    assert 'ZeroDivisionError' in caplog.text
    caplog.clear()


@pytest.mark.parametrize('exc', [KeyboardInterrupt, SystemExit])
def test_these_leave_run_forever(loop, exc):
    seen = []

    def leave():
        raise exc

    loop.call_soon(seen.append, 1)
    loop.call_soon(leave)
    loop.call_soon(seen.append, 2)
    with pytest.raises(exc):
        loop.run_forever()
    assert seen == [1]
    assert not loop.is_running()
    run_for(loop)               # what was left is still there
    assert seen == [1, 2]


def test_base_exception_of_a_callback_is_reported(loop):
    errors = []

    class Odd(BaseException):
        pass

    def fail():
        raise Odd

    loop.set_exception_handler(lambda l, c: errors.append(c))
    loop.call_soon(fail)
    run_for(loop)
    assert isinstance(errors[0]['exception'], Odd)
    del errors[:]


# ---- states ------------------------------------------------------------

def test_running_and_closed(loop):
    seen = []
    assert not loop.is_running() and not loop.is_closed()

    def inside():
        seen.append(loop.is_running())
        # the standard loop of 3.13.0 stops when it is run twice
        if isinstance(loop, _asgid.Loop) or sys.version_info < (3, 13):
            with pytest.raises(RuntimeError, match='already running'):
                loop.run_forever()
        with pytest.raises(RuntimeError, match='Cannot close'):
            loop.close()

    loop.call_soon(inside)
    run_for(loop)
    assert seen == [True] and not loop.is_running()
    loop.close()
    loop.close()
    assert loop.is_closed()
    for call in (lambda: loop.call_soon(print),
                 lambda: loop.call_later(1, print),
                 lambda: loop.call_at(1, print),
                 lambda: loop.call_soon_threadsafe(print),
                 lambda: loop.run_forever(),
                 lambda: loop.add_reader(0, print)):
        with pytest.raises(RuntimeError, match='closed'):
            call()
    coro = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match='closed'):
        loop.create_task(coro)
    coro.close()


def test_close_drops_what_is_pending(loop, pair):
    class Arg:
        pass

    args = [Arg(), Arg(), Arg()]
    refs = [weakref.ref(a) for a in args]
    loop.call_soon(print, args[0])
    loop.call_later(1000, print, args[1])
    loop.add_reader(pair[0], print, args[2])
    loop.close()
    del args
    gc.collect()
    if isinstance(loop, _asgid.Loop):
        assert [r() for r in refs] == [None] * 3


def test_cycles_through_handles_are_collected(loop):
    class Node:
        def call(self, *args):
            pass

    refs = []
    for schedule in (lambda n: loop.call_soon(n.call, n),
                     lambda n: loop.call_later(0, n.call, n, n, n)):
        n = Node()
        n.handle = schedule(n)
        refs.append(weakref.ref(n))
    del n
    run_for(loop, 3)
    gc.collect()
    assert [r() for r in refs] == [None, None]


def test_dropped_loop_is_collected(kind):
    code = '''
import asyncio, gc, weakref, warnings, sys
warnings.simplefilter('ignore')
import _asgid
loop = (asyncio.SelectorEventLoop if sys.argv[1] == 'asyncio'
        else _asgid.Loop)()
ref = weakref.ref(loop)
loop.call_soon(print, loop)
loop.call_later(1000, print, loop)
loop.create_future()
del loop
gc.collect()
assert ref() is None
'''
    subprocess.run([PYLOOP, '-c', code, kind], check=True)


def test_unclosed_loop_at_exit(kind):
    code = '''
import asyncio, sys
import _asgid
loop = (asyncio.SelectorEventLoop if sys.argv[1] == 'asyncio'
        else _asgid.Loop)()
h = loop.call_later(1000, print, loop)
loop.call_soon(print, loop)
async def f(): await asyncio.sleep(100)
t = loop.create_task(f())
loop.call_soon(loop.stop)
loop.run_forever()
'''
    subprocess.run([PYLOOP, '-W', 'ignore', '-c', code, kind], check=True,
                   stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


# ---- threads -----------------------------------------------------------

def test_threadsafe_wakes_a_sleeping_loop(loop):
    got = []

    def thread():
        for i in range(200):
            loop.call_soon_threadsafe(got.append, i)
            if i % 20 == 0:
                time.sleep(0.0005)
        loop.call_soon_threadsafe(loop.stop)

    t = threading.Thread(target=thread)
    loop.call_soon(t.start)
    loop.run_forever()
    t.join()
    assert got == list(range(200))


def test_threadsafe_from_many_threads(loop):
    count = [0]

    def bump():
        count[0] += 1
        if count[0] == 4000:
            loop.stop()

    def thread():
        for i in range(1000):
            loop.call_soon_threadsafe(bump)

    threads = [threading.Thread(target=thread) for _ in range(4)]
    for t in threads:
        t.start()
    loop.run_forever()
    for t in threads:
        t.join()
    assert count == [4000]


def test_loop_in_another_thread(loop):
    def thread():
        asyncio.set_event_loop(loop)
        loop.run_forever()

    async def work(x):
        await asyncio.sleep(0.001)
        return x * 2

    t = threading.Thread(target=thread)
    t.start()
    futs = [asyncio.run_coroutine_threadsafe(work(i), loop)
            for i in range(10)]
    assert [f.result(60) for f in futs] == [i * 2 for i in range(10)]
    loop.call_soon_threadsafe(loop.stop)
    t.join()


def test_threads_run_beside_a_busy_loop(loop):
    """A loop that always has work must not keep others from the GIL."""
    done = threading.Event()
    count = [0]

    def thread():
        for _ in range(20):
            count[0] += 1
            time.sleep(0)
        done.set()

    def spin():
        if done.is_set():
            loop.stop()
        else:
            loop.call_soon(spin)

    t = threading.Thread(target=thread)
    loop.call_soon(t.start)
    loop.call_soon(spin)
    loop.run_forever()
    t.join()
    assert count == [20]


# ---- debug mode --------------------------------------------------------

def test_debug_mode(loop, caplog):
    loop.set_debug(True)
    assert loop.get_debug()
    h = loop.call_soon(print)
    assert h._source_traceback[-1].name == 'test_debug_mode'
    assert 'created at' in repr(h)
    h.cancel()
    assert 'cancelled' in repr(h) and 'print()' in repr(h)
    t = loop.call_later(1, print)
    assert t._source_traceback[-1].name == 'test_debug_mode'
    t.cancel()
    coro = asyncio.sleep(0)
    with pytest.raises(TypeError, match='coroutines cannot be used'):
        loop.call_soon(coro)
    coro.close()
    with pytest.raises(TypeError, match='callable object was expected'):
        loop.call_later(1, 'no')


def test_debug_mode_warns_of_slow_callbacks(loop, caplog):
    loop.expected_errors = ['Executing']
    loop.set_debug(True)
    loop.slow_callback_duration = 0.001
    loop.call_soon(time.sleep, 0.003)
    run_for(loop)
    assert 'Executing <Handle sleep(0.003)' in caplog.text
    assert loop._current_handle is None


def test_debug_mode_checks_threads(loop):
    loop.set_debug(True)
    loop.slow_callback_duration = 3600      # whatever the machine does
    errors = []

    def thread():
        for call in (loop.call_soon, lambda f: loop.call_later(1, f)):
            try:
                call(print)
            except RuntimeError as e:
                errors.append(str(e))

    def inside():
        t = threading.Thread(target=thread)
        t.start()
        t.join()

    loop.call_soon(inside)
    run_for(loop)
    assert len(errors) == 2 and 'Non-thread-safe' in errors[0]


def test_set_debug_while_running(loop):
    async def main():
        loop.set_debug(True)
        loop.slow_callback_duration = 3600  # whatever the machine does
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        depth = sys.get_coroutine_origin_tracking_depth()
        loop.set_debug(False)
        await asyncio.sleep(0)
        return depth

    assert loop.run_until_complete(main()) > 0


# ---- descriptors -------------------------------------------------------

def test_reader_and_writer(loop, pair):
    a, b = pair
    got = []
    loop.add_reader(a.fileno(), lambda: got.append(a.recv(100)))
    loop.add_writer(a, lambda: (got.append('writable'),
                                loop.remove_writer(a)))
    b.send(b'hello')
    run_for(loop, 3)
    assert sorted(map(str, got)) == ["b'hello'", 'writable']
    assert loop.remove_reader(a.fileno()) is True
    assert loop.remove_reader(a.fileno()) is False
    assert loop.remove_writer(a.fileno()) is False
    b.send(b'more')
    run_for(loop, 2)
    assert len(got) == 2


def test_reader_is_replaced(loop, pair):
    a, b = pair
    got = []
    loop.add_reader(a, got.append, 'old')
    loop.add_reader(a, lambda: (got.append('new'), a.recv(10)))
    b.send(b'x')
    run_for(loop, 2)
    assert got == ['new']
    loop.remove_reader(a)


def test_reader_removed_before_it_runs(loop, pair):
    a, b = pair
    c, d = socket.socketpair()
    got = []

    def one(mine, other):
        got.append(mine)
        loop.remove_reader(other)
        mine.recv(1)

    loop.add_reader(a, one, a, c)
    loop.add_reader(c, one, c, a)
    b.send(b'x')
    d.send(b'x')
    run_for(loop, 3)
    assert len(got) == 1
    loop.remove_reader(got[0])
    c.close()
    d.close()


def test_cancelled_reader_handle(loop, pair):
    a, b = pair
    h = loop._add_reader(a.fileno(), lambda: 1 / 0)
    h.cancel()
    b.send(b'x')
    run_for(loop, 3)
    assert loop._remove_reader(a.fileno()) is False


def test_hangup_wakes_the_writer(loop):
    r, w = os.pipe()
    got = []
    os.set_blocking(w, False)
    while True:
        try:
            os.write(w, b'x' * 65536)
        except BlockingIOError:
            break
    loop.add_writer(w, lambda: (got.append(1), loop.remove_writer(w)))
    run_for(loop)
    assert got == []
    os.close(r)
    run_for(loop, 2)
    assert got == [1]
    os.close(w)


def test_bad_descriptors(loop, tmp_path):
    with pytest.raises(ValueError):
        loop.add_reader(-1, print)
    with pytest.raises(ValueError):
        loop.add_reader('x', print)
    with pytest.raises(OSError):
        loop.add_reader(1023, print)
    with open(tmp_path / 'file', 'w') as f:
        with pytest.raises(PermissionError):
            loop.add_reader(f, print)


def test_descriptor_number_used_again(loop):
    """Closed without remove_reader(), opened again, watched again."""
    got = []
    a, b = socket.socketpair()
    fd = a.fileno()
    loop.add_reader(a, got.append, 'old')
    a.close()
    b.close()
    if not isinstance(loop, _asgid.Loop):
        loop.remove_reader(fd)  # the standard loop is lost without it
    a, b = socket.socketpair()
    assert a.fileno() == fd
    if isinstance(loop, _asgid.Loop):
        loop.add_writer(a, got.append, 'writer')
        loop.remove_writer(a)
    loop.add_reader(a, got.append, 'new')
    b.send(b'x')
    run_for(loop)
    assert got == ['new']
    loop.remove_reader(a)
    a.close()
    b.close()


def test_many_readers(loop):
    pairs = [socket.socketpair() for _ in range(300)]
    got = []

    def read(a):
        a.recv(1)
        got.append(a)
        if len(got) == len(pairs):
            loop.stop()

    for a, b in pairs:
        loop.add_reader(a, read, a)
        b.send(b'x')
    loop.run_forever()
    for a, b in pairs:
        loop.remove_reader(a)
        a.close()
        b.close()
    assert len(set(got)) == 300
