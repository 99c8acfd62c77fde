"""Code that runs where nobody expects it (comparisons, destructors, fileno(),
repr) and undoes what is being done. Each in a process of its own: what fails
here crashes, or never ends."""
import os
import subprocess
import textwrap

import pytest

PYLOOP = os.path.realpath('/proc/self/exe')

HEAD = '''
import asyncio, faulthandler, gc, os, signal, socket, sys, weakref
faulthandler.dump_traceback_later(60, exit=True)
import _asgid
LOOPS = {'asyncio': asyncio.SelectorEventLoop, 'asgid': _asgid.Loop}
loop = LOOPS[sys.argv[1]]()
asyncio.set_event_loop(loop)

def turn():
    loop.call_soon(loop.stop)
    loop.run_forever()

def refused(exc, f, *args):
    try:
        f(*args)
    except exc:
        return
    raise AssertionError(f'not refused: {f} {args}')
'''


def run(kind, code):
    r = subprocess.run([PYLOOP, '-c', HEAD + textwrap.dedent(code), kind],
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    assert r.stderr == '', r.stderr


# ---- timers --------------------------------------------------------------

@pytest.mark.parametrize('where', ['callback', 'argument'])
def test_comparison_cancels(kind, where):
    """__eq__ of a callback or an argument cancels both of the timers."""
    run(kind, f'''
        class C:
            def __init__(self):
                self.mine = bytearray(100)
            def __call__(self, *args):
                pass
            def __eq__(self, other):
                a.cancel(); b.cancel()
                gc.collect()
                return NotImplemented
            __hash__ = None
        for n in range(10):
            at = loop.time() + 600
            if {where!r} == 'callback':
                a, b = loop.call_at(at, C()), loop.call_at(at, C())
            else:
                a, b = [loop.call_at(at, print, C(), C()) for _ in 'ab']
            for ask in (lambda: a == b, lambda: a <= b, lambda: a != b):
                ask()
        loop.close()
    ''')


def test_armed_timer_is_garbage(kind):
    """With its loop, which is not closed: the collector clears it first."""
    run(kind, '''
        loop.close()
        class Loop(LOOPS[sys.argv[1]]):
            def __del__(self):
                pass
        for n in range(4):
            loop = Loop()
            gc.freeze()         # the loop's turn is after the timers'
            timers = [loop.call_later(600, print) for _ in range(3)]
            loop.call_later(600, timers.append, loop)
            gone = weakref.ref(loop)
            gc.collect()
            gc.unfreeze()
            os.close(loop._ssock.detach()), os.close(loop._csock.detach())
            del loop, timers
            gc.collect()
            assert gone() is None
    ''')


def test_repr_of_a_cancelled_timer_closes_the_loop(kind):
    run(kind, '''
        class C:
            def __repr__(self):
                loop.close()
                return 'C'
        loop.set_debug(True)
        loop.call_later(600, print, C()).cancel()
        assert loop.is_closed()
    ''')


def test_destructor_cancels_the_other_timers(kind):
    """While the loop is closed."""
    run(kind, '''
        timers = []
        class C:
            def __del__(self):
                for t in timers:
                    t.cancel()
        for _ in range(10):
            timers.append(loop.call_later(600, print, C()))
        loop.close()
        timers.clear()
    ''')


# ---- handles -------------------------------------------------------------

@pytest.mark.parametrize('how', ['soon', 'timer', 'mixed'])
def test_long_chain_of_handles(kind, how):
    """Each holds the next one."""
    run(kind, f'''
        h = None
        for n in range(300000):
            if {how!r} == 'timer' or ({how!r} == 'mixed' and n % 2):
                h = loop.call_later(600, print, h)
            else:
                h = loop.call_soon(print, h)
            if n % 1000 == 999:
                loop._ready.clear() if sys.argv[1] == 'asyncio' else None
        seen = weakref.ref(h)
        del h
        loop.close()
        gc.collect()
        assert sys.argv[1] == 'asyncio' or seen() is None
    ''')


def test_destructors_of_a_long_chain_make_handles():
    run('asgid', '''
        made = []
        class C:
            def __del__(self):
                h = other.call_soon(print, made)
                h.cancel()
                made.append(None)
        other = LOOPS[sys.argv[1]]()
        h = None
        for n in range(1000):
            h = loop.call_soon(print, h, C())
        del h
        loop.close()
        assert len(made) == 1000, len(made)
        other.run_until_complete(asyncio.sleep(0))
        other.close()
    ''')


# ---- descriptors ---------------------------------------------------------

@pytest.mark.parametrize('method', ['add_reader', 'add_writer',
                                    'remove_reader', 'remove_writer'])
def test_fileno_closes_the_loop(kind, method):
    run(kind, f'''
        a, b = socket.socketpair()
        class C:
            n = 0
            def fileno(self):
                # transports are asked for before
                C.n += 1
                if C.n == last:
                    loop.close()
                return a.fileno()
        for last in 1, 2, 3:
            C.n = 0
            loop = LOOPS[sys.argv[1]]()
            try:
                loop.{method}(C(), *([print] if 'add' in {method!r} else []))
            except (RuntimeError, ValueError, AttributeError, KeyError):
                pass
            loop.close()
    ''')


@pytest.mark.parametrize('fd', [1 << 20, 1 << 30, (1 << 31) - 1])
def test_number_that_is_no_descriptor(kind, fd):
    """OSError, and nothing grows."""
    run(kind, f'''
        import resource
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for add in loop.add_reader, loop.add_writer:
            refused(OSError, add, {fd}, print)
            refused(OSError, add, {fd}, print)
        for remove in loop.remove_reader, loop.remove_writer:
            assert remove({fd}) is False
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert after - before < 4096, (before, after)
        loop.close()
    ''')


def test_highest_descriptor(kind):
    """One that is there is watched, however high."""
    run(kind, '''
        import resource
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        fd = min(hard, 100000) - 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (fd + 1, hard))
        a, b = socket.socketpair()
        os.dup2(a.fileno(), fd)
        hits = []
        loop.add_reader(fd, hits.append, 1)
        b.send(b'x')
        turn()
        assert hits
        loop.remove_reader(fd)
        os.close(fd)
        loop.close()
    ''')


def test_destructor_of_a_reader_closes_the_loop():
    """A cancelled one, dropped when its descriptor is ready."""
    run('asgid', '''
        import contextvars
        VAR = contextvars.ContextVar('VAR')
        class C:
            def __del__(self):
                try:
                    loop.close()
                except RuntimeError:
                    told.append('refused')
        told = []
        a, b = socket.socketpair()
        def add():
            VAR.set(C())
            return loop._add_reader(a, print), loop._add_writer(a, print)
        r, w = contextvars.Context().run(add)
        r.cancel(), w.cancel()
        del r, w
        b.send(b'x')
        loop.stop()
        loop._run_once()        # does not make is_running() true
        loop.close()
        assert told == ['refused'], told
    ''')


# ---- closing -------------------------------------------------------------

def test_not_closed_again():
    """What close() has freed is not there again because somebody says so."""
    run('asgid', '''
        loop.close()
        loop._closed = False
        for f, *args in ((loop.call_soon, print), (loop.call_later, 0, print),
                         (loop.call_at, 0, print),
                         (loop.call_soon_threadsafe, print),
                         (loop._add_reader, 0, print), (loop._run_once,),
                         (loop.run_forever,)):
            refused(RuntimeError, f, *args)
        assert loop.is_closed()
        loop.close()
    ''')


def test_closed_by_its_own_callback():
    """Also when it runs without run_forever()."""
    run('asgid', '''
        told = []
        def close():
            try:
                loop.close()
            except RuntimeError:
                told.append(1)
        loop.call_soon(close)
        loop.stop()
        loop._run_once()
        assert told
        loop.close()
    ''')


def test_destructor_closes_the_loop_of_a_timer(kind):
    """In the collection that the making of the timer causes."""
    run(kind, '''
        class C:
            def __del__(self):
                loop.close()
        gc.collect()
        gc.set_threshold(1)
        ring = [C()]
        ring.append(ring)
        del ring
        try:
            for _ in range(100):
                loop.call_later(600, print)
        except RuntimeError:
            pass
        assert loop.is_closed()
    ''')
