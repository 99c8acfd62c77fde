# SPDX-License-Identifier: BSD-3-Clause
"""What an application does after its client has left: its own errors are one
line of warning, the client's absence is none."""
import ast

import pytest

from harness import get, poll

SHARED = ("left", "-o", "log.format=uvicorn")


@pytest.fixture
def left(shared):
    shared.get("/clear")
    return shared


def leave(d, path):
    """A request whose client leaves while it is served, seen by the server."""
    n = d.access.count("499")
    c = d.connect()
    c.send(get(path))
    poll(lambda: "waiting" in d.get("/journal").text, "waiting")
    c.abort()
    d.wait_access(" 499", count=n + 1)
    d.get("/open/left")


@pytest.mark.parametrize("path", ["/500", "/plain", "/mixed"])
def test_error_of_the_application(left, path):
    leave(left, path)
    left.expect("ValueError: from the app: raised after the client had left: "
                "GET %s from 127.0.0.1:" % path)
    left.wait_log("ValueError: from the app: raised after the client had "
                  "left: GET %s from" % path)
    assert "Traceback" not in left.stderr


def test_class_of_the_applications_own(left):
    leave(left, "/own")
    left.expect("left.ClientDisconnect: own class: raised after")
    left.wait_log("own class: raised after the client had left")


@pytest.mark.parametrize("path", ["/404", "/group", "/stream"])
def test_nothing_to_mend(asgid, path):
    d = asgid("left", "--log-level", "debug")
    leave(d, path)
    d.wait_log("application ended by a lost client: GET %s from" % path)
    assert "Traceback" not in d.stderr


def test_traceback_for_those_who_debug(asgid):
    d = asgid("left", "--log-level", "debug")
    leave(d, "/500")
    d.expect("ValueError: from the app: raised after")
    d.wait_log("DEBUG: .*its traceback:\nTraceback .*ValueError: from the app")


def test_send_that_ignores_it(asgid):
    d = asgid("left", "-o", "application.send_after_disconnect=ignore")
    leave(d, "/returns")
    poll(lambda: ast.literal_eval(d.get("/journal").text)[-1] == "sent",
         lambda: d.get("/journal").text)


def test_after_the_answer(left):
    """The client is served; the request has still its name."""
    assert left.get("/background").text == "ok"
    left.expect("GET /background from .*ValueError: in the background")
    left.wait_log("ValueError: in the background")
