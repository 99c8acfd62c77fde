# SPDX-License-Identifier: BSD-3-Clause
"""Signal handlers of the application: they are called, and the worker's own
action stays, whoever sets what and when."""
import os
import signal

import pytest

from harness import PATIENT, application, poll

HEAD = '''
import asyncio, os, signal, sys

def say(*words):
    print(*words, flush=True)

def handler(signum, frame):
    say("handler", signum)

def leave(signum, frame):
    say("handler", signum)
    sys.exit(0)

%s

async def set_up():
    %s

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await set_up()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        say("shutdown")
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/set":
        await set_up()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
'''


@pytest.fixture
def serve(asgid, tmp_path):
    def start(head="", set_up="pass", **kw):
        (tmp_path / "signalled.py").write_text(HEAD % (head, set_up))
        d = asgid(None, "signalled:app", "--app-dir", str(tmp_path), "--host",
                  "127.0.0.1", "--port", "0", "--no-access-log", *PATIENT,
                  **kw)
        assert d.get().text == "ok"
        return d
    return start


def stops(d, *says):
    """SIGTERM for the worker: it shuts the application down; the master
    starts another one."""
    pid = d.worker
    said = d.stdout.count("shutdown\n")
    os.kill(pid, signal.SIGTERM)
    poll(lambda: d.stdout.count("shutdown\n") > said,
         lambda: "no shutdown:\n" + d.stderr)
    poll(lambda: pid not in d.workers() and d.workers(), "still there")
    d.baseline = {}
    for text in says:
        assert text in d.stdout, d.stdout
    d.allow("")
    assert "tried to end" not in d.stderr
    assert "killed by signal" not in d.stderr


# How to set a handler of one's own, or to give it up again; and whether it is
# called by SIGTERM.
WAYS = {
    "nothing": ("pass", False),
    "handler": ("signal.signal(signal.SIGTERM, handler)", True),
    "exit": ("signal.signal(signal.SIGTERM, leave)", True),
    "default": ("signal.signal(signal.SIGTERM, signal.SIG_DFL)", False),
    "ignore": ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", False),
    "restore": ("signal.signal(signal.SIGTERM, signal.signal(signal.SIGTERM, "
                "handler))", False),
    "chain": ("old = signal.getsignal(signal.SIGTERM); "
              "signal.signal(signal.SIGTERM, lambda signum, frame: "
              "(handler(signum, frame), old(signum, frame)))", True),
}
LATE = {
    "loop": ("asyncio.get_running_loop().add_signal_handler("
             "signal.SIGTERM, handler, 15, None)", True),
    "loop_removed": ("loop = asyncio.get_running_loop(); "
                     "loop.add_signal_handler(signal.SIGTERM, handler, 15, "
                     "None); loop.remove_signal_handler(signal.SIGTERM)",
                     False),
    "chain_later": ("old = signal.getsignal(signal.SIGTERM); "
                    "loop = asyncio.get_running_loop(); "
                    "signal.signal(signal.SIGTERM, lambda s, f: (handler(s, f)"
                    ", loop.call_soon_threadsafe(old, s, f)))", True),
}


@pytest.mark.parametrize("way", WAYS)
def test_set_at_import(serve, way):
    code, called = WAYS[way]
    d = serve(head=code)
    stops(d, *["handler 15\n"] * called)
    assert d.stdout.count("handler") == called


@pytest.mark.parametrize("way", {**WAYS, **LATE})
@pytest.mark.parametrize("when", ["startup", "request"])
def test_set_later(serve, way, when):
    code, called = {**WAYS, **LATE}[way]
    if when == "request":
        d = serve(head="calls = []\n"
                  "def is_request():\n"
                  "    calls.append(1)\n"
                  "    return len(calls) > 1",
                  set_up="if is_request(): " + code)
        assert d.get("/set").text == "ok"
    else:
        d = serve(set_up=code)
    stops(d, *["handler 15\n"] * called)
    assert d.stdout.count("handler") == called


@pytest.mark.parametrize("way", ["handler", "exit"])
def test_interrupt(serve, way):
    """Ctrl-C is the master's; a worker that hears it calls the handler and
    serves on."""
    d = serve(head=WAYS[way][0].replace("SIGTERM", "SIGINT"))
    pid = d.worker
    for n in range(1, 4):
        os.kill(pid, signal.SIGINT)
        poll(lambda: d.stdout.count("handler 2\n") == n, "not called")
        assert d.get().text == "ok"
    assert d.workers() == [pid]
    os.killpg(d.pid, signal.SIGINT)
    assert d.wait() == 0
    assert "shutdown\n" in d.stdout


def test_what_python_knows(serve):
    """A callable, as of any server; to call it stops the worker."""
    d = serve(head='''
for s in "SIGTERM SIGQUIT SIGINT SIGHUP SIGUSR1".split():
    s = getattr(signal, s)
    assert callable(signal.getsignal(s))
    assert signal.signal(s, signal.getsignal(s)) is signal.getsignal(s)
''', set_up="signal.getsignal(signal.SIGTERM)(signal.SIGTERM, None) "
              "if sys.argv[1:] else sys.argv.append('')")
    pid = d.worker
    assert d.get("/set").text == "ok"
    poll(lambda: "shutdown\n" in d.stdout, "no shutdown")
    poll(lambda: pid not in d.workers() and d.workers(), "still there")
    d.baseline = {}
    d.allow("")


def test_handler_calls_that_of_another_signal(serve):
    """What Ctrl-C asks for, the worker does."""
    d = serve(head="def interrupt(signum, frame):\n"
              "    signal.getsignal(signal.SIGTERM)(signal.SIGTERM, frame)\n"
              "signal.signal(signal.SIGINT, interrupt)")
    pid = d.worker
    os.kill(pid, signal.SIGINT)
    poll(lambda: "shutdown\n" in d.stdout, "no shutdown")
    poll(lambda: pid not in d.workers() and d.workers(), "still there")
    d.baseline = {}
    d.allow("")


@pytest.mark.parametrize("action", ["SIG_DFL", "SIG_IGN"])
def test_others_never_end_it(serve, action):
    code = "; ".join("signal.signal(signal.%s, signal.%s)" % (name, action)
                     for name in ("SIGHUP", "SIGUSR1", "SIGPIPE"))
    d = serve(head=code, set_up=code)
    pid = d.worker
    assert d.get("/set").text == "ok"
    for signo in signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE, signal.SIGINT:
        os.kill(pid, signo)
    assert d.get().text == "ok"
    assert d.workers() == [pid]


def test_handler_runs_at_once(serve):
    """Where the worker has nothing to do itself: also in code that blocks,
    as a developer's look at it needs it."""
    d = serve(head="signal.signal(signal.SIGUSR1, handler)",
              set_up="""
    import time
    if sys.argv[1:]:
        say("blocks")
        while not os.path.exists("go"):
            time.sleep(0.001)
    sys.argv.append("")""")
    pid = d.worker
    c = d.connect()
    c.send(b"GET /set HTTP/1.1\r\nHost: t\r\n\r\n")
    poll(lambda: "blocks\n" in d.stdout, "not blocking")
    os.kill(pid, signal.SIGUSR1)
    poll(lambda: "handler 10\n" in d.stdout, "not called")
    (d.dir / "go").touch()
    assert c.response().text == "ok"


def test_during_the_import(asgid, tmp_path):
    """Whatever the group of the terminal or an operator sends."""
    (tmp_path / "slow.py").write_text(application('b"ok"', "", """
import os, time
print("importing", flush=True)
while not os.path.exists("go"):
    time.sleep(0.001)
"""))
    d = asgid(None, "slow:app", "--app-dir", str(tmp_path), "--host",
              "127.0.0.1", "--port", "0", *PATIENT, serve=False)
    poll(lambda: "importing\n" in d.stdout, "not importing")
    pid = d.worker
    for signo in signal.SIGHUP, signal.SIGUSR1, signal.SIGINT, signal.SIGPIPE:
        os.kill(pid, signo)
    (tmp_path / "go").touch()
    d.wait_serving()
    assert d.workers() == [pid]


def test_child_of_a_fork(serve):
    """It has the default actions, also where it sets back what Python knows
    of ours."""
    d = serve(set_up="""
    if not sys.argv[1:]:
        return sys.argv.append("")
    import time
    old = signal.getsignal(signal.SIGTERM)
    for set_back in 0, 1, 2:
        pid = os.fork()
        if not pid:
            if set_back == 1:
                signal.signal(signal.SIGTERM, old)
            elif set_back == 2:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == signal.SIGTERM, set_back""")
    assert d.get("/set").text == "ok"
