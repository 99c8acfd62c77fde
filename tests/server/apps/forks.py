"""Forks itself: multiprocessing and os.fork, from coroutines and threads."""
import asyncio
import atexit
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

from util import note, read_body, reply, routes

FORK = multiprocessing.get_context("fork")


def status_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def ended(pid):
    """Its exit status, while the loop goes on."""
    return await asyncio.to_thread(status_of, pid)


async def sleep_in_child():
    await asyncio.sleep(0)
    return os.getpid()


def facts():
    """What a child finds."""
    with open("/proc/self/status") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f
                      if line.startswith("Sig"))
    links = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink("/proc/self/fd/" + fd))
    return ({k: int(v, 16) for k, v in status.items() if "Q" not in k},
            sorted(x for x in links if x.startswith(("socket:", "anon_inode"))),
            {s.name: str(signal.getsignal(s)) for s in
             (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT,
              signal.SIGUSR1)},
            asyncio.run(sleep_in_child()) == os.getpid())


def into_pipe(function):
    """In a forked child; what it returned."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        os.write(w, repr(function()).encode())
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as f:
        said = f.read()
    assert status_of(pid) == 0, said
    return said


async def f_facts(scope, receive, send):
    if scope["path"].endswith("thread"):
        said = await asyncio.to_thread(into_pipe, facts)
    else:
        said = into_pipe(facts)
    await reply(send, said)


async def f_exec(scope, receive, send):
    """The signals that a program ignores, however it is started."""
    show = ["grep", "SigIgn", "/proc/self/status"]
    out = [subprocess.check_output(show),
           subprocess.check_output(show, preexec_fn=lambda: None),
           subprocess.check_output(show, close_fds=False)]
    p = await asyncio.create_subprocess_exec(*show, stdout=subprocess.PIPE)
    out.append((await p.communicate())[0])
    await reply(send, repr([int(x.split()[1], 16) for x in out]))


async def f_pool(scope, receive, send):
    """Its exit is terminate()."""
    def use():
        with FORK.Pool(2) as pool:
            return pool.map(abs, range(-3, 3))
    how = scope["path"].split("/")[2]
    await reply(send, repr(use() if how == "here" else
                           await asyncio.to_thread(use)))


async def f_process(scope, receive, send):
    """One that does not end by itself, and a signal."""
    signo = int(scope["path"].split("/")[2])
    p = FORK.Process(target=time.sleep, args=(600,))
    p.start()
    os.kill(p.pid, signo)
    await asyncio.to_thread(p.join)
    await reply(send, repr(p.exitcode))


async def f_handler(scope, receive, send):
    """The loop's own handlers are the parent's."""
    hits = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR2, hits.append, "parent")
    p = FORK.Process(target=time.sleep, args=(600,))
    p.start()
    os.kill(p.pid, signal.SIGUSR2)
    await asyncio.to_thread(p.join)
    await asyncio.sleep(0)
    loop.remove_signal_handler(signal.SIGUSR2)
    await reply(send, repr((p.exitcode, hits)))


async def f_own(scope, receive, send):
    """A handler of the application is its children's as well."""
    old = signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
    p = FORK.Process(target=time.sleep, args=(600,))
    p.start()
    signal.signal(signal.SIGTERM, old)
    os.kill(p.pid, signal.SIGTERM)
    await asyncio.to_thread(p.join)
    await reply(send, repr(p.exitcode))


async def f_stays(scope, receive, send):
    """A child that outlives its parent; its number is the answer."""
    pid = os.fork()
    if pid == 0:
        while True:
            time.sleep(1)
    await reply(send, str(pid))


# ---- children that come back into the server

async def come_back(how, receive, send, future):
    if how == "exit":
        sys.exit(7)
    if how == "raise":
        raise ValueError("of the child")
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "wait":
        await asyncio.sleep(0)
    if how == "future":
        await future
    if how == "receive":
        await read_body(receive)
    if how == "send":
        await reply(send, b"from the child")


async def f_back(scope, receive, send):
    """/back/HOW, or /back/HOW/late: after a suspension."""
    _, _, how, *late = scope["path"].split("/")
    if late:
        await asyncio.sleep(0)
    future = asyncio.get_running_loop().create_future()
    pid = os.fork()
    if pid == 0:
        await come_back(how, receive, send, future)
        return
    await reply(send, repr(await ended(pid)))


async def f_task(scope, receive, send):
    """In a task and in a callback beside the request."""
    told = asyncio.get_running_loop().create_future()

    async def fork():
        fork_now()

    def fork_now():
        pid = os.fork()
        if pid:
            told.set_result(pid)
    if scope["path"].endswith("task"):
        asyncio.create_task(fork())
    else:
        asyncio.get_running_loop().call_soon(fork_now)
    await reply(send, repr(await ended(await told)))


async def f_thread(scope, receive, send):
    """In a worker thread, whose pool goes on in the child."""
    pid = await asyncio.to_thread(os.fork)
    await reply(send, repr(await ended(pid)))


async def f_signal(scope, receive, send):
    """In a signal handler, while the loop waits."""
    told = []

    def fork(*_):
        told.append(os.fork())
    signal.signal(signal.SIGUSR2, fork)
    threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGUSR2)).start()
    while not told:
        await asyncio.sleep(0.01)
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    await reply(send, repr(await ended(told[0])))


async def f_pid(scope, receive, send):
    await reply(send, str(os.getpid()))


async def f_until(scope, receive, send):
    """In flight, until there is a file of that name."""
    note("in")
    while not os.path.exists(scope["path"].split("/")[2]):
        await asyncio.sleep(0.005)
    await reply(send, b"until")


# ---- elsewhere than in a request

WHEN = os.environ.get("FORK_WHEN")
serve = routes(globals())


def fork_here():
    """The child goes on from here; what became of it is written down."""
    pid = os.fork()
    if pid:
        with open("forked", "w") as f:
            print(status_of(pid), file=f)
    return pid


def kill_at_the_end():
    with open("forked", "w") as f:
        try:
            pid = os.fork()
        except RuntimeError:        # by Python 3.12
            f.write("refused\n")
            return
        if pid == 0:
            time.sleep(600)
        os.kill(pid, signal.SIGTERM)
        print(status_of(pid), file=f)


async def app(scope, receive, send):
    if scope["type"] == "lifespan" and WHEN:
        await receive()
        if WHEN == "startup" and fork_here() == 0:
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if WHEN == "shutdown" and fork_here() == 0:
            sys.exit(5)
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await serve(scope, receive, send)


if WHEN == "import":
    fork_here()
elif WHEN == "atexit":
    atexit.register(kill_at_the_end)
