# SPDX-License-Identifier: BSD-3-Clause
"""The application uses receive and send after the server has ended: from
atexit functions, threads that Python joins, destructors, generators, bridges.
Nobody crashes; receive() tells http.disconnect (RuntimeError on threads that
are not the loop's), send() raises."""
import pytest

from harness import get, poll

KINDS = ["atexit", "thread", "pool", "del", "ring", "generator", "coroutine",
         "task"]


# what receive() gives
GIVEN = dict.fromkeys(KINDS + ["finally"], "http.disconnect")
GIVEN.update(thread="RuntimeError", pool="RuntimeError")


def late(d):
    """What was written when it ended."""
    d.allow("left over")        # held on purpose, until the very end
    assert d.stop() == 0, d.stderr[-4000:]
    return [line.split() for line in
            (d.dir / "late").read_text().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_response(asgid, kind):
    d = asgid("late")
    assert d.get("/late/" + kind).text == "ok"
    told = late(d)
    assert [t[:2] for t in told] == [[kind, GIVEN[kind]]], told
    assert told[0][2] in ("OSError", "RuntimeError"), told
    # asyncio ends tasks before it closes the loop
    assert told[0][3] == ("open" if kind == "task" else "closed")


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_request_that_was_cut_off(asgid, kind):
    d = asgid("late", "-o", "timeouts.graceful=50ms")
    d.allow("cancelling 1 running request")
    c = d.connect()
    c.send(get("/late/%s/unanswered" % kind))
    poll(lambda: "in" in d.get("/journal").text, "not begun")
    told = dict((t[0], t[1:]) for t in late(d))
    assert set(told) == {kind, "finally"}, told
    for name, how in told.items():
        assert how[0] == GIVEN[name], told
        assert how[1] in ("OSError", "RuntimeError", "nothing"), told
    # nobody is there any more, after the cancellation
    assert told[kind][1] != "nothing", told


def test_bridge(asgid):
    """A thread that drives send() on a loop that is closed by then."""
    d = asgid("late", "-o", "timeouts.graceful=50ms")
    d.allow("cancelling 1 running request")
    c = d.connect()
    c.send(get("/bridge"))
    poll(lambda: "in" in d.get("/journal").text, "not begun")
    assert late(d) == [["bridge", "closed"]]
