# SPDX-License-Identifier: BSD-3-Clause
"""receive and send, and what they return, however they are used: awaited
late, by another task, twice at once, from another thread, within one
another."""
import ast

import pytest

from harness import get, poll

SHARED = ("ports", "-o", "log.format=uvicorn")
BIG = 200_000


@pytest.fixture
def ports(shared):
    shared.get("/clear")
    return shared


def journal(d):
    return ast.literal_eval(d.get("/journal").text)


def wait_journal(d, *entries):
    poll(lambda: journal(d) == list(entries), lambda: journal(d))


# ---- send() that waits

@pytest.mark.parametrize("way", ["task", "gather", "shield", "wait_for"])
def test_send_is_awaited_otherwise(ports, way):
    c = ports.connect(rcvbuf=4096)
    r = c.request("GET", "/waits/" + way)
    assert r.body == b"x" * 5 * BIG + b"end"
    wait_journal(ports, "done")


def test_send_is_awaited_after_the_writer_was_empty(ports):
    """There is nothing to wait for any more, and nobody who would wake."""
    c = ports.connect()
    c.send(get("/waits/later"))
    wait_journal(ports, "sent")
    c.until(lambda b: b.count(b"x") >= BIG)
    ports.get("/open/read")
    assert c.response().body == b"x" * 5 * BIG + b"end"
    wait_journal(ports, *["sent"] * 5, "done")


@pytest.mark.parametrize("way", ["task", "gather", "shield", "wait_for",
                                 "later"])
def test_client_leaves_while_send_waits(ports, way):
    c = ports.connect(rcvbuf=4096)
    c.send(get("/leaves/" + way))
    c.until(lambda b: b"xxx" in b)
    c.abort()
    ports.get("/open/read")
    poll(lambda: "left" in journal(ports), "left")


def test_second_sender_lets_the_first_one_go_on(ports):
    c = ports.connect()
    c.send(get("/two"))
    wait_journal(ports, "waiting")
    ports.get("/open/some")
    assert c.response().body == b"x" * BIG + b"yend"
    wait_journal(ports, "waiting", "both")


def test_wait_that_is_given_up(ports):
    c = ports.connect(rcvbuf=4096)
    c.send(get("/cancelled"))
    wait_journal(ports, "given up")
    assert c.response().body == b"x" * 20 * BIG + b"end"


def test_several_receivers(ports):
    c = ports.connect()
    c.send(b"POST /receives HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\n")
    wait_journal(ports, "waiting")
    for part in b"ab", b"cd", b"ef":
        c.send(part)
        c.consumed()
    assert c.response().body == b"abcdef"


# ---- errors

def test_errors_come_with_the_await(ports):
    kinds = ast.literal_eval(ports.get("/errors").text)
    assert kinds == ["Expected ASGI message 'http.response.start', but got "
                     "'nonsense'.", "RuntimeError", "NoneType",
                     "RuntimeError"]


def test_error_that_nobody_awaits(ports):
    assert ports.get("/unawaited").text == "ok"
    ports.expect("send.. has failed, and was not awaited")
    ports.wait_log("but got 'forgotten'")


def test_error_that_only_its_frames_hold(ports):
    assert ports.get("/kept").text == "ok"
    ports.expect("send.. has failed, and was not awaited")
    ports.wait_log("not awaited\n.*ValueError: first.*but got 'forgotten'")


def test_gather_when_one_client_has_left(ports):
    c = ports.connect()
    c.send(get("/gone"))
    wait_journal(ports, "waiting")
    c.close()
    wait_journal(ports, "waiting", (True, "slept"))


# ---- threads

def test_called_in_another_thread(ports):
    c = ports.connect()
    r = c.request("POST", "/threadsafe", body=b"got and")
    assert r.body == b"got and sent"


def test_awaited_in_another_thread(ports):
    assert ports.get("/foreign").text == \
        "RuntimeError True, RuntimeError True"


# ---- code that runs within

def test_headers_that_send(ports):
    r = ports.get("/reenters")
    assert (r.status, r.body, r.get("x-second")) == (201, b"inner", "2")
    assert r.get("x-first") is None
    wait_journal(ports, "in", "Unexpected ASGI message "
                 "'http.response.start' sent, after response already "
                 "completed.")


def test_mappings_are_messages(ports):
    r = ports.get("/mapping")
    assert (r.body, r.get("x-a")) == (b"ok", "1")


def test_types_of_bytes(ports):
    r = ports.get("/types")
    assert r.body == b"abcde"
    assert [r.get("x-" + n) for n in ("sub", "ba", "mv", "d1")] == \
        ["1", "2", "3", "x-d2"]


def test_step_within_a_step(ports):
    words = ports.get("/nested").text.split("\n")
    assert words == ["ValueError: coroutine already executing"] * 4


def test_refuses_to_be_closed(ports):
    """While senders are woken by what that sends."""
    c = ports.connect(rcvbuf=4096)
    # an answer before the request's end is written at once
    c.send(b"POST /refuses HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n")
    wait_journal(ports, "waiting")
    other = ports.connect()
    other.send(get("/closes"))
    poll((ports.dir / "blocked").exists, "not blocked")
    while not c.quiet(0.1):     # too early: then nobody is woken
        c.take(1)
        c.buf.clear()
    (ports.dir / "go").touch()
    assert other.response().text == \
        "RuntimeError: coroutine ignored GeneratorExit"


def test_step_on_another_thread(ports):
    words = ports.get("/elsewhere").text.split("\n")
    assert words == ["a request runs on the worker's event loop only"] * 2


def test_endless_chain_of_causes(ports):
    c = ports.connect()
    c.send(get("/groups"))
    wait_journal(ports, "waiting")
    c.close()
    wait_journal(ports, "waiting", "raising")
    ports.expect("ValueError: at the bottom: raised after the client")
    ports.wait_log("raised after the client had left")


# ---- looks

def test_looks_like_coroutines(ports):
    seen = ast.literal_eval(ports.get("/looks").text)
    for name in "receive", "send":
        assert seen[name] == (name, name, "asgid", True, True)
    assert seen["waiting"] == ("receive", True, True, True, True,
                               "CORO_CLOSED", True)
    assert seen["sending"][:5] == ("send", True, True, True, True)
