# SPDX-License-Identifier: BSD-3-Clause
"""asyncio inside the application: the loop is a whole asyncio loop."""
import pytest

from harness import DEADLINE, get

SHARED = ("inloop",)
LIMIT = 5 * DEADLINE        # megabytes go through the loop line by line

THINGS = ["sleep", "task", "children", "thread", "executor", "threadsafe",
          "streams", "unixstreams", "myself", "executable", "subprocess",
          "signal", "timeout", "early", "reader", "datagram", "order",
          "getaddrinfo", "asyncgen", "loop", "runelsewhere", "tasknames",
          "tasknames"]


@pytest.mark.parametrize("thing", THINGS)
def test_thing(shared, thing):
    c = shared.connect(deadline=LIMIT)
    for _ in range(2):
        assert c.request("GET", "/" + thing).text == "ok"


def test_many_at_once(shared):
    things = ["sleep", "children", "streams", "timeout", "reader", "order",
              "early", "task", "executor", "datagram"] * 4
    conns = [shared.connect(deadline=LIMIT) for _ in things]
    for c, thing in zip(conns, things):
        c.send(get("/" + thing))
    for c in conns:
        assert c.response().text == "ok"


@pytest.mark.parametrize("path", ["setvar", "setvarfast"])
def test_context_is_the_requests_own(shared, path):
    """Neither the requests of one connection, nor of several, nor the
    lifespan share context variables."""
    c = shared.connect()
    for i in range(5):
        assert c.request("GET", "/%s?%d" % (path, i)).text == "ok"
    conns = [shared.connect() for _ in range(20)]
    for i, c in enumerate(conns):
        c.send(get("/%s?c%d" % (path, i)) * 2)
    for c in conns:
        assert c.response().text == "ok"
        assert c.response().text == "ok"


def test_context_survives_waiting(shared):
    """Resumed by a body and by an event of another request: still its
    own context."""
    conns = [shared.connect() for _ in range(3)]
    for i, c in enumerate(conns):
        c.send(b"POST /varbody?%d HTTP/1.1\r\nHost: t\r\n"
               b"Content-Length: 3\r\n\r\n" % i)
    for c in conns:
        c.consumed()
    shared.get("/open/var")
    for i, c in reversed(list(enumerate(conns))):
        c.send(b"abc")
    for i, c in enumerate(conns):
        assert c.response().text == repr(b"%d" % i)
    assert shared.get("/setvarreceive").text == "ok"


def test_nothing_is_logged(shared):
    assert not [r for r in shared.records() if r[0] not in ("INFO", "DEBUG")]
