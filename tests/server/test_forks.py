# SPDX-License-Identifier: BSD-3-Clause
"""The application forks: its children behave as those of any program, hold
nothing of the server's, and cannot come back into it."""
import ast
import os
import re
import signal

import pytest

from harness import get, poll
from procfs import descriptors, stat_of

SHARED = "forks",

CAUGHT = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT,
          signal.SIGUSR1]


def bit(signo):
    return 1 << (signo - 1)


@pytest.mark.parametrize("where", ["here", "thread"])
def test_what_a_child_holds(shared, where):
    """Neither signal handlers nor masks, nor sockets; and asyncio works."""
    idle = shared.connect()
    assert idle.request("GET", "/pid").status == 200
    r = shared.get("/facts/" + where)
    assert r.status == 200, shared.stderr
    masks, links, handlers, works = ast.literal_eval(r.text)
    assert not masks["SigBlk"]
    for signo in CAUGHT:
        assert not (masks["SigCgt"] | masks["SigIgn"]) & bit(signo), signo
        assert "SIG_DFL" in handlers[signo.name] or \
            handlers[signo.name] == str(int(signal.SIG_DFL)), handlers
    # asyncio wakes itself by a pair of sockets
    own = set(descriptors(shared.worker).values())
    left = [x for x in links if x in own and "socket" in x]
    assert len(left) <= 2, left
    assert not [x for x in links if "eventpoll" in x], links
    assert works
    assert idle.request("GET", "/pid").text == str(shared.worker)


def test_what_a_program_inherits(shared):
    """However it is started, no signal is ignored but those that asgid was
    started with (make(1) passes one of the C library's on)."""
    with open("/proc/self/status") as f:
        ours = int(re.search(r"SigIgn:\s*(\w+)", f.read())[1], 16)
    masks = ast.literal_eval(shared.get("/exec").text)
    assert [m & ~ours for m in masks] == [0] * len(masks), (masks, ours)


@pytest.mark.parametrize("where", ["here", "thread"])
def test_pool(shared, where):
    """terminate() ends it."""
    assert shared.get("/pool/" + where).text == "[3, 2, 1, 0, 1, 2]"


@pytest.mark.parametrize("signo", CAUGHT)
def test_a_signal_ends_a_child(shared, signo):
    """However early it comes."""
    for _ in range(5):
        assert shared.get("/process/%d" % signo).text == repr(-signo)


def test_a_childs_signal_is_not_the_parents(shared):
    assert ast.literal_eval(shared.get("/handler").text) == \
        (-signal.SIGUSR2, [])


def test_a_handler_of_the_application(shared):
    """The server's stands over it, but not in a child."""
    assert shared.get("/own").text == "9"


BACK = {"return": (0, "came back"), "exit": (7, ""),
        "raise": (1, "ValueError: of the child"), "interrupt": (1, "KeyboardInterrupt"),
        "wait": (0, "came back"), "future": (0, "came back"),
        "receive": (1, r"receive\(\)"), "send": (1, r"send\(\)")}


@pytest.mark.parametrize("late", ["", "/late"])
@pytest.mark.parametrize("how", BACK)
def test_back_into_the_server(asgid, how, late):
    """One answer, and that is the parent's; nobody is replaced."""
    d = asgid("forks", "-o", "workers.max_requests=100")
    status, said = BACK[how]
    if said:
        d.expect("[Ff]ork.*" + said)
    pid = d.worker
    until = d.connect()
    until.send(get("/until/told"))
    poll(lambda: "in" in d.get("/journal").text, "not begun")
    c = d.connect()
    for i in range(2):
        r = c.request("GET", "/back/%s%s" % (how, late))
        assert (r.status, r.text) == (200, repr(status)), d.stderr
        assert c.request("GET", "/pid").text == str(pid)
    (d.dir / "told").touch()
    assert until.response().body == b"until"
    assert c.quiet(0)
    assert d.workers() == [pid]
    assert len([x for x in d.access if "/back/" in x]) == 2


@pytest.mark.parametrize("where", ["task/task", "task/callback", "thread",
                                   "signal"])
def test_back_beside_the_requests(asgid, where):
    d = asgid("forks")
    d.expect("[Ff]ork")
    pid = d.worker
    assert d.get("/" + where).text == "0"
    assert d.get("/pid").text == str(pid)


@pytest.mark.parametrize("when, status", [
    ("import", 0), ("startup", 0), ("shutdown", 5),
    ("atexit", -signal.SIGTERM)])
def test_back_from_elsewhere(asgid, when, status):
    d = asgid("forks", env={"FORK_WHEN": when})
    if status == 0:
        d.expect("forked came back")
    assert d.get("/pid").text == str(d.worker)
    assert d.stop() == 0
    said = (d.dir / "forked").read_text()
    assert said == "%d\n" % status or (when, said) == ("atexit", "refused\n")
    assert len([x for x in d.log if "Started worker" in x]) == 1


def test_a_child_that_outlives_its_worker(asgid):
    """Neither the stop nor the next start waits for it."""
    d = asgid("forks")
    child = int(d.get("/stays").text)
    try:
        assert d.stop() == 0
        assert stat_of(child) is not None
        assert "kill" not in d.stderr
        e = asgid("forks", "--port", str(d.port), listen=False)
        assert e.get("/pid").text == str(e.worker)
    finally:
        os.kill(child, signal.SIGKILL)
