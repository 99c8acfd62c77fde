# SPDX-License-Identifier: BSD-3-Clause
"""The lifespan protocol: what the application is told, and what its failures
do to the start, the stop and the exit status."""
import ast
import time

import pytest

from harness import get, poll


@pytest.fixture
def life(asgid, tmp_path):
    path = tmp_path / "journal"

    def start(app, *args, **kw):
        d = asgid("lifespans:" + app, *args,
                  env={"JOURNAL": str(path)}, **kw)
        d.journal = lambda: (path.read_text().splitlines()
                             if path.exists() else [])
        return d
    return start


def fails(d, *words, status=3):
    """The start fails: exit status, and the reason in the log."""
    d.status = status
    d.allow("")
    assert d.wait() == status, d.stderr
    for w in words:
        assert w in d.stderr
    assert "running on" not in d.stderr


def test_in_order(life):
    d = life("good")
    j = d.journal()
    assert j[1:] == ["lifespan.startup"]
    assert ast.literal_eval(d.get("/").text) == {"a": 1}
    assert d.stop() == 0
    assert d.journal()[1:] == ["lifespan.startup", "lifespan.shutdown", "end"]
    m = ast.literal_eval(j[0].partition("]")[2].strip())
    assert m == {"version": "3.0", "spec_version": "2.0"}
    assert ast.literal_eval(j[0].split(" ", 1)[1].partition("]")[0] + "]") \
        == ["asgi", "state", "type"]


def test_used_as_those_of_requests(life):
    d = life("elsewhere")
    assert d.stop() == 0
    assert d.journal()[1:] == [
        "lifespan.startup", "<class 'RuntimeError'>", "lifespan.shutdown",
        "end"]


def test_serves_only_when_started(life):
    d = life("slow")
    assert d.get("/").status == 200
    start = time.monotonic()
    assert d.stop() == 0
    assert time.monotonic() - start >= 0.18
    assert d.journal()[-2:] == ["lifespan.shutdown", "end"]


def test_shutdown_comes_after_the_requests(life):
    d = life("good")
    c = d.connect()
    c.send(get("/slow"))
    poll(lambda: "request begins" in d.journal(), "not begun")
    d.signal(15)
    assert c.response().status == 200
    assert d.wait() == 0
    assert d.journal()[2:] == ["request begins", "request ends",
                               "lifespan.shutdown", "end"]


@pytest.mark.parametrize("mode", ["auto", "on", "off"])
def test_application_without_lifespan(life, mode):
    """Raising before receive() means: not supported."""
    if mode == "on":
        d = life("raises_at_once", "--lifespan", "on", serve=False)
        fails(d, "no lifespan here", "Traceback")
        return
    d = life("raises_at_once", "--lifespan", mode)
    assert d.get("/").status == 200
    assert d.stop() == 0
    assert len(d.journal()) == (0 if mode == "off" else 1)
    assert "Traceback" not in d.stderr


@pytest.mark.parametrize("mode", ["auto", "on"])
@pytest.mark.parametrize("app,words", [
    ("raises_in_startup", ["database is down", "Traceback",
                           "lifespans.py"]),
    ("exits_in_startup", ["SystemExit"]),
    ("failed", ["no database"]),
    ("failed_silently", ["startup"]),
    ("wrong_message", ["http.response.start"])])
def test_start_fails(life, app, words, mode):
    d = life(app, "--lifespan", mode, serve=False)
    fails(d, *words)


@pytest.mark.parametrize("workers", [1, 2])
def test_start_fails_with_workers(life, workers):
    d = life("raises_in_startup", "--workers", workers, serve=False)
    fails(d, "database is down")


@pytest.mark.parametrize("app", ["returns_at_once", "returns_after_receive"])
@pytest.mark.parametrize("mode", ["auto", "on"])
def test_returning_counts_as_started(life, app, mode):
    d = life(app, "--lifespan", mode)
    assert d.get("/").status == 200
    assert d.stop() == 0


def test_completing_twice(life):
    """A failure, told whole; whether it comes in time to stop the start is
    the loop's affair."""
    d = life("twice", serve=False)
    d.check_status = False
    d.allow("")
    d.wait_log("lifespan.startup.complete")
    d.wait_log("Traceback")


def test_raises_while_serving(life):
    """Later failures are logged whole; requests go on being served."""
    d = life("raises_while_serving")
    d.expect("background failure")
    d.wait_log("RuntimeError: background failure")
    assert d.get("/").status == 200
    assert d.stop() == 0


@pytest.mark.parametrize("app,words", [
    ("shutdown_failed", "it burns"),
    ("raises_in_shutdown", "RuntimeError: cannot flush")])
def test_shutdown_fails(life, app, words):
    d = life(app)
    assert d.get("/").status == 200
    assert d.stop() == 0
    assert words in d.stderr
    d.allow(words.split(": ")[-1], "shutdown failed", "[Ss]hutdown")
    d.expect(words.split(": ")[-1])


def test_startup_deadline(life):
    start = time.monotonic()
    d = life("hangs_in_startup", "-o", "timeouts.startup=400ms", serve=False)
    fails(d, "400ms")
    assert time.monotonic() - start > 0.3


@pytest.mark.parametrize("app", ["hangs_in_shutdown", "sleeps_forever"])
def test_shutdown_deadline(life, app):
    d = life(app, "-o", "timeouts.shutdown=300ms")
    d.allow("[Ss]hutdown", "lifespan")
    start = time.monotonic()
    d.check_status = False
    assert d.stop() in (0, 1)
    assert time.monotonic() - start > 0.2
    d.expect("shutdown took longer than 300ms")


def test_signal_during_startup(life):
    d = life("hangs_in_startup", "-o", "timeouts.startup=10m", serve=False)
    poll(lambda: d.journal(), "not begun")
    d.signal(15)
    d.allow("")
    d.check_status = False
    d.wait()


def test_state_may_be_replaced(life):
    """The dict we gave is the state; rebinding the key changes nothing."""
    d = life("no_state_key")
    assert ast.literal_eval(d.get("/").text) in ({}, {"replaced": True})


def test_off(life):
    d = life("good", "--lifespan", "off")
    assert ast.literal_eval(d.get("/").text) == {}
    assert d.journal() == []
