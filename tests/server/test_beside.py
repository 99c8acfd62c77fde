# SPDX-License-Identifier: BSD-3-Clause
"""What runs beside the requests cannot end the worker, nor take its loop."""
import os
import signal

import pytest

from harness import PATIENT, get, poll

SHARED = ("beside",)
TRIED = "tried to end the process"
WAYS = {"exit": "SystemExit: 7", "interrupt": "KeyboardInterrupt"}

TICKS = """
import asyncio, sys

def tick(left):
    loop = asyncio.get_running_loop()
    if left:
        loop.call_soon(tick, left - 1)
        loop.call_soon(sys.exit, 7)

async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    tick(50)
    await send({"type": "lifespan.shutdown.complete"})
"""

STARTS = """
import asyncio, signal, sys

def handler(signum, frame):
    asyncio.get_running_loop().call_soon(sys.exit, 7)

signal.signal(signal.SIGTERM, handler)

async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    print("starting", flush=True)
    await asyncio.sleep(600)
"""


@pytest.fixture
def beside(asgid):
    """A worker with a request that waits, and which lives through it all."""
    d = asgid("beside")
    pid = d.worker
    c = d.connect()
    c.send(get("/wait"))
    poll(lambda: "waiting" in d.get("/journal").text, "waiting")
    yield d
    assert d.workers() == [pid], "the worker died:\n" + d.stderr[-4000:]
    assert not c.eof and c.quiet(0)
    assert "[" in d.get("/journal").text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where,times", [("task", 1), ("soon", 2),
                                         ("thread", 1)])
def test_end_of_the_process(beside, where, times, way):
    assert beside.get("/%s/%s" % (where, way)).text == "ok"
    beside.expect(r"(?s)%s.*Traceback.*%s" % (TRIED, WAYS[way]))
    beside.wait_log(TRIED, count=times)
    # a task's own complaint
    beside.allow("Task exception was never retrieved", "Traceback", "")


@pytest.mark.parametrize("way", WAYS)
def test_end_of_the_process_in_a_group(beside, way):
    """The request's own coroutine has it as well."""
    assert beside.get("/group/" + way).status == 500
    beside.expect(r"(?s)%s.*Traceback.*%s" % (TRIED, WAYS[way]),
                  r"(?s)GET /group/%s.*Traceback" % way)
    beside.wait_log(TRIED)
    beside.allow("Task exception was never retrieved")


@pytest.mark.parametrize("way", [*WAYS, "value"])
def test_signal_handler(beside, way):
    """While the loop waits."""
    pid = int(beside.get("/handler/" + way).text)
    for n in range(1, 4):
        os.kill(pid, signal.SIGUSR2)
        if way == "value":
            # asyncio's handler prints it
            beside.allow("", "not caught")
            beside.wait_log(r"Exception in a signal handler\nTraceback.*?"
                            r"ValueError: not caught", count=n)
        else:
            beside.expect(r"(?s)a signal handler has %s.*Traceback.*%s" %
                          (TRIED, WAYS[way]))
            beside.wait_log(TRIED, count=n)


@pytest.mark.parametrize("way", WAYS)
def test_signal_handler_in_a_request(beside, way):
    assert beside.get("/raises/" + way).status == 500
    beside.expect(r"(?s)GET /raises/%s.*Traceback.*%s" % (way, WAYS[way]))


def test_cancels_all_tasks(asgid):
    """That of the lifespan and the root task too; the stop works."""
    d = asgid("beside")
    pid = d.worker
    assert d.get("/cancelall").text == "ok"
    assert d.get("/cancelall").text == "ok"
    assert d.workers() == [pid]
    d.allow("event loop cannot be stopped by the application", "")


def test_stops_beside_what_would_end_it(asgid, tmp_path):
    """In the very turn in which its loop is to stop."""
    (tmp_path / "ticks.py").write_text(TICKS)
    d = asgid(None, "ticks:app", "--app-dir", str(tmp_path), "--host",
              "127.0.0.1", "--port", "0", *PATIENT)
    d.allow("tried to end the process", "")
    assert d.stop() == 0
    assert "does not exit" not in d.stderr


def test_stops_in_the_start_without_a_root_task(asgid, tmp_path):
    """.. where the loop is stopped at once."""
    (tmp_path / "starts.py").write_text(STARTS)
    d = asgid(None, "starts:app", "--app-dir", str(tmp_path), "--host",
              "127.0.0.1", "--port", "0", *PATIENT, serve=False)
    poll(lambda: "starting\n" in d.stdout, "not starting")
    pid = d.worker
    d.signal(signal.SIGTERM, pid)
    poll(lambda: pid not in d.workers(), "still there")
    d.allow("")
    d.check_status = False


def test_the_loop_is_ours(shared):
    texts = {
        "stop": "asgid's event loop cannot be stopped by the application",
        "close": "asgid's event loop cannot be closed by the application",
        "forever": "This event loop is already running",
        "once": "asgid's event loop cannot be run by the application",
        "complete": "This event loop is already running",
        "run": "asyncio.run() cannot be called from a running event loop",
    }
    for path, text in texts.items():
        assert shared.get("/" + path).text == text
    assert shared.get("/elsewhere").text.splitlines() == [
        texts["stop"], texts["close"], texts["forever"]]
