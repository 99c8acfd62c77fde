# SPDX-License-Identifier: BSD-3-Clause
"""The application is called in its Task and in the Task's own context,
whatever its form: no context variable of one client reaches the next."""
import pytest

FORMS = ["plain", "anonymous", "bound", "instance", "Double", "Awaitable"]


@pytest.mark.parametrize("form", FORMS)
def test_of_one_request_only(asgid, form):
    d = asgid("contexts:" + form)
    for _ in range(3):
        assert d.get("/login").text == "nobody task alice"
        c = d.connect()         # another client, and the same connection
        assert c.request("GET", "/").text == "nobody task nobody"
        assert c.request("GET", "/login").text == "nobody task alice"
        assert c.request("GET", "/").text == "nobody task nobody"


def test_task_factory(asgid):
    d = asgid("contexts:factory")
    for _ in range(3):
        assert d.get("/").text == "nobody task factory"


@pytest.mark.parametrize("path", ["/value", "/exit", "/cancelled"])
def test_fails_in_the_call(asgid, path):
    d = asgid("contexts:fails", "--interface", "asgi3")
    for _ in range(3):
        assert d.get(path).status == 500
    d.expect("GET %s.*Traceback" % path)
