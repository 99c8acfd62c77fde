"""An idle loop makes no system call, and a busy one no needless ones."""
import os
import shutil
import subprocess

import pytest

PYLOOP = os.path.realpath('/proc/self/exe')
STRACE = shutil.which('strace')

needs_strace = pytest.mark.skipif(not STRACE, reason='no strace')


def traced(code, tmp_path):
    """The system calls made by `code` between two marks of it."""
    out = tmp_path / 'trace'
    subprocess.run([STRACE, '-f', '-o', out, PYLOOP, '-c', PRELUDE + code],
                   check=True, timeout=60)
    calls = [line.split(None, 1)[1] for line in
             out.read_text().splitlines()]
    marks = [i for i, c in enumerate(calls) if 'MARK' in c]
    assert len(marks) == 2, calls[-20:]
    calls = calls[marks[0] + 1:marks[1]]
    # signals, threads' ends, and memory, of which a sanitizer takes much
    return [c for c in calls if not c.startswith(
        ('---', '+++', 'mmap', 'munmap', 'madvise', 'brk'))]


PRELUDE = '''
import asyncio, os, socket, threading, time
import _asgid
loop = _asgid.Loop()
def mark(): os.access('MARK', 0)
'''


@needs_strace
def test_idle_loop_waits_once(tmp_path):
    calls = traced('''
a, b = socket.socketpair()
loop.add_reader(a, print)
loop.call_later(1000, print)
def end(): mark(); loop.stop()
loop.call_later(1.5, end)
loop.call_soon(mark)
loop.run_forever()
''', tmp_path)
    # the wait of 0 of the turn of the mark, perhaps; then one long one
    assert 1 <= len(calls) <= 2, calls
    assert all(c.startswith('epoll_') for c in calls), calls
    assert 'epoll_pwait2' in calls[-1] or 'epoll_wait' in calls[-1]


@needs_strace
def test_callbacks_cost_one_wait_a_turn(tmp_path):
    calls = traced('''
n = 0
def again():
    global n
    n += 1
    if n == 1: mark()
    if n < 50: loop.call_soon(again)
    else: mark(); loop.stop()
loop.call_soon(again)
loop.run_forever()
''', tmp_path)
    assert len(calls) == 49, calls
    assert all(c.startswith('epoll_wait') for c in calls), calls


@needs_strace
def test_same_reader_again_is_no_system_call(tmp_path):
    calls = traced('''
a, b = socket.socketpair()
loop.add_reader(a, print)
mark()
for i in range(10): loop.add_reader(a, print, i)
mark()
''', tmp_path)
    assert calls == []


@needs_strace
def test_wake_of_a_running_loop_writes_nothing(tmp_path):
    calls = traced('''
def f():
    mark()
    for i in range(10): loop.call_soon_threadsafe(int)
    mark()
    loop.stop()
loop.call_soon(f)
loop.run_forever()
''', tmp_path)
    assert calls == []
