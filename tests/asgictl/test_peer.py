# SPDX-License-Identifier: BSD-3-Clause
"""asgictl and whatever may be at the other end: nothing, something else,
something broken, something slow."""
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import tool
from tool import (DENIED, DONE, FAILED, NOT_RUNNING, Peer, TIMEOUT, Terminal,
                  USAGE, answer, asgictl, finish, says, screen, start)


# ---- nobody there ------------------------------------------------------

def test_no_file(tmp_path):
    r = asgictl("-s", tmp_path / "s", "ping")
    assert (r.status, r.out) == (NOT_RUNNING, "")
    assert r.err == "asgictl: %s: asgid is not running\n" % (tmp_path / "s")


def test_left_behind(tmp_path):
    """A socket whose process has died."""
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "s"))
    r = asgictl("-s", tmp_path / "s", "stop")
    assert r.status == NOT_RUNNING
    assert r.err == "asgictl: %s: asgid is not running\n" % (tmp_path / "s")


@pytest.mark.parametrize("words", [["ping"], ["wait", "ready"],
                                   ["wait", "drained"]])
def test_regular_file(tmp_path, words):
    (tmp_path / "s").write_text("")
    r = asgictl("-s", tmp_path / "s", *words)
    assert r.status == FAILED
    assert r.err == "asgictl: %s: not a socket\n" % (tmp_path / "s")


def test_datagram_socket(tmp_path):
    with Peer(tmp_path / "s", None, socket.SOCK_DGRAM) as peer:
        r = asgictl("-s", peer.path, "ping")
    assert r.status == FAILED
    assert r.err == ("asgictl: %s: Protocol wrong type for socket\n" %
                     peer.path)


def test_long_name(tmp_path):
    r = asgictl("-s", "/" + "x" * 108, "ping")
    assert r.status == FAILED and "File name too long" in r.err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_not_permitted(tmp_path):
    with Peer(tmp_path / "s", says(answer(200, "never\n"))) as peer:
        os.chmod(peer.path, 0o600)
        r = asgictl("-s", peer.path, "ping", user=65534, group=65534,
                    extra_groups=[])
        assert (r.status, r.out) == (DENIED, "")
        assert r.err == "asgictl: %s: not permitted\n" % peer.path
        assert peer.lines == []


# ---- answers -----------------------------------------------------------

@pytest.mark.parametrize("code, status", [
    (400, USAGE), (403, DENIED), (404, FAILED), (408, TIMEOUT),
    (409, FAILED), (413, USAGE), (422, 6), (500, FAILED), (503, FAILED),
    (599, FAILED),
])
def test_failure(tmp_path, code, status):
    with Peer(tmp_path / "s", says(answer(code, "one\ntwo"))) as peer:
        r = asgictl("-s", peer.path, "reload")
        assert (r.status, r.out) == (status, "")
        assert r.err == "asgictl: reload: one\ntwo\n"


def test_failure_without_a_word(tmp_path):
    with Peer(tmp_path / "s", says(answer(403, ""))) as peer:
        r = asgictl("-s", peer.path, "reload")
        assert (r.status, r.err) == (DENIED,
                                     "asgictl: reload: not permitted\n")
    with Peer(tmp_path / "s", says(answer(599, ""))) as peer:
        r = asgictl("-s", peer.path, "reload")
        assert (r.status, r.err) == (FAILED,
                                     "asgictl: reload: asgid answers 599\n")


def test_answer_in_pieces(tmp_path):
    def talk(c):
        for byte in answer(200, "a line\nand 100 %% \u00e9\n"):
            c.sendall(bytes([byte]))
            time.sleep(0.001)
    with Peer(tmp_path / "s", talk) as peer:
        r = asgictl("-s", peer.path, "config")
        assert (r.status, r.out) == (DONE, "a line\nand 100 %% \u00e9\n")


def test_large_answer(tmp_path):
    text = "".join("line %d\n" % i for i in range(400000))
    with Peer(tmp_path / "s", says(answer(200, text))) as peer:
        r = asgictl("-s", peer.path, "stats")
        assert r.status == DONE and r.out == text


def test_no_text(tmp_path):
    with Peer(tmp_path / "s", says(answer(200, ""))) as peer:
        r = asgictl("-s", peer.path, "reload")
        assert (r.status, r.out, r.err) == (DONE, "", "")


def test_quiet(tmp_path):
    with Peer(tmp_path / "s", says(answer(200, "pong\n"))) as peer:
        r = asgictl("-q", "-s", peer.path, "ping")
        assert (r.status, r.out, r.err) == (DONE, "", "")
    with Peer(tmp_path / "s", says(answer(500, "no\n"))) as peer:
        r = asgictl("-q", "-s", peer.path, "ping")
        assert (r.status, r.out, r.err) == (FAILED, "",
                                            "asgictl: ping: no\n")


def test_refused_before_the_request(tmp_path):
    """An answer that comes before the line was sent, and a close."""
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(tmp_path / "s"))
    s.listen(1)

    def refuse():
        c, _ = s.accept()
        c.sendall(answer(503, "too many connections\n"))
        c.close()
    t = threading.Thread(target=refuse)
    t.start()
    r = asgictl("-s", tmp_path / "s", "ping")
    t.join()
    s.close()
    assert (r.status, r.err) == (FAILED,
                                 "asgictl: ping: too many connections\n")


# ---- broken peers ------------------------------------------------------

@pytest.mark.parametrize("data, error", [
    (b"", "the connection was closed without an answer"),
    (b"20", "the answer ends too early"),
    (b"200 10\nhalf", "the answer ends too early"),
    (b"200 2147483647\nhalf", "the answer is too long"),
    (b"200 99999999999999999999999\n", "that is not an answer of asgid"),
    (b"200 -1\n", "that is not an answer of asgid"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "that is not an answer of asgid"),
    (b"x" * 100, "that is not an answer of asgid"),
    (b"\0" * 100, "that is not an answer of asgid"),
    (b"\n", "that is not an answer of asgid"),
    (b"102 5\nwait\n" b"200", "the answer ends too early"),
])
def test_broken(tmp_path, data, error):
    with Peer(tmp_path / "s", says(data)) as peer:
        for name in ("ping", "reload"):
            r = asgictl("-s", peer.path, name)
            assert (r.status, r.out) == (FAILED, ""), r
            assert r.err == "asgictl: %s: %s\n" % (name, error)


def test_more_than_the_answer(tmp_path):
    with Peer(tmp_path / "s", says(answer(200, "one\n") + b"garbage")) as peer:
        r = asgictl("-s", peer.path, "ping")
        assert (r.status, r.out) == (DONE, "one\n")


def mute(release):
    def talk(c):
        release.wait(tool.DEADLINE)
    return talk


@pytest.mark.parametrize("data", [b"", b"200 10\nhalf"])
def test_no_answer_in_time(tmp_path, data):
    """Commands that need not wait give up after five seconds."""
    release = threading.Event()

    def talk(c):
        c.sendall(data)
        release.wait(tool.DEADLINE)
    with Peer(tmp_path / "s", talk) as peer:
        begin = time.monotonic()
        r = asgictl("-s", peer.path, "status")
        took = time.monotonic() - begin
        release.set()
    assert (r.status, r.out) == (TIMEOUT, "")
    assert r.err == "asgictl: status: asgid does not answer\n"
    assert took >= 5


def test_check_may_take_longer(tmp_path):
    """It looks up names, which asgid gives ten seconds."""
    def talk(c):
        time.sleep(5.5)
        c.sendall(answer(200, "valid\n"))
    with Peer(tmp_path / "s", talk) as peer:
        r = asgictl("-s", peer.path, "check")
    assert (r.status, r.out, r.err) == (0, "valid\n", "")


def fill_queue(path, others):
    """So many connections that the next has to wait."""
    while True:
        c = socket.socket(socket.AF_UNIX)
        c.setblocking(False)
        others.append(c)
        try:
            c.connect(str(path))
        except BlockingIOError:
            break


def test_backlog_is_full(tmp_path):
    """Nobody accepts: the connection itself times out."""
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "s"))
        s.listen(0)
        others = []
        fill_queue(tmp_path / "s", others)
        r = asgictl("-s", tmp_path / "s", "wait", "ready", "200ms")
        assert r.status == TIMEOUT
        assert r.err == ("asgictl: %s: asgid does not answer\n" %
                         (tmp_path / "s"))
        for c in others:
            c.close()


# ---- standard output ---------------------------------------------------

def test_nobody_reads(tmp_path):
    text = "x" * 1000000 + "\n"
    with Peer(tmp_path / "s", says(answer(200, text))) as peer:
        p = start("-s", peer.path, "config")
        p.stdout.close()
        p.stdout = None
        r = finish(p)
        assert (r.status, r.err) == (-signal.SIGPIPE, "")


def test_disk_is_full(tmp_path):
    with Peer(tmp_path / "s", says(answer(200, "text\n"))) as peer, \
            open("/dev/full", "w") as full:
        r = asgictl("-s", peer.path, "config", stdout=full)
        assert r.status == FAILED
        assert r.err == ("asgictl: standard output: "
                         "No space left on device\n")


def test_no_standard_output(tmp_path):
    """The answer is not written to a socket that got number 1."""
    got = []

    def talk(c):
        c.sendall(answer(200, "stop\n"))
        got.append(c.recv(100))
    with Peer(tmp_path / "s", talk) as peer:
        p = subprocess.run(["sh", "-c", '"$0" -s "$1" config <&- >&- 2>&-',
                            tool.ASGICTL, peer.path], timeout=tool.DEADLINE,
                           env=tool.environment())
    assert got == [b""] and peer.lines == ["config\n"]
    assert p.returncode == FAILED


@pytest.mark.parametrize("text, status, err", [
    ("text\n", FAILED, "asgictl: standard output: Bad file descriptor\n"),
    ("", DONE, "")])
def test_answer_that_nobody_gets(tmp_path, text, status, err):
    with Peer(tmp_path / "s", says(answer(200, text))) as peer:
        r = subprocess.run(["sh", "-c", '"$0" -s "$1" config >&-',
                            tool.ASGICTL, peer.path], timeout=tool.DEADLINE,
                           env=tool.environment(), stderr=subprocess.PIPE,
                           text=True)
    assert (r.returncode, r.stderr) == (status, err)


# ---- terminals ---------------------------------------------------------

def test_terminal_is_told(tmp_path):
    with Peer(tmp_path / "s", says(answer(200, "fine\n"))) as peer:
        for kw, line in [
                ({}, "ping --color --progress\n"),
                ({"files": ["stdout"]}, "ping --color\n"),
                ({"files": ["stderr"]}, "ping --progress\n"),
                ({"env": {"NO_COLOR": "1"}}, "ping --progress\n"),
                ({"env": {"NO_COLOR": ""}}, "ping --color --progress\n"),
                ({"env": {"TERM": None}}, "ping --progress\n"),
                ({"env": {"TERM": "dumb"}}, "ping --progress\n")]:
            assert Terminal("-s", peer.path, "ping", **kw).finish().status \
                == DONE
            assert peer.lines.pop() == line, kw
        assert Terminal("-q", "-s", peer.path, "ping").finish().status == DONE
        assert peer.lines.pop() == "ping --color\n"


def stepwise(*steps):
    """Each is sent when the one before was seen: go.set()."""
    go = threading.Event()

    def talk(c):
        for i, data in enumerate(steps):
            if i > 0:
                assert go.wait(tool.DEADLINE)
                go.clear()
            c.sendall(data)
    return talk, go


def test_progress(tmp_path):
    """One line, rewritten, cut to the terminal, gone at the end."""
    talk, go = stepwise(answer(102, "first, which is quite long"),
                        answer(102, "second: caf\u00e9 \u2713\nnever\n"),
                        answer(102, "odd \033[2J\a x"),
                        answer(200, "done\n"))
    with Peer(tmp_path / "s", talk) as peer:
        t = Terminal("-s", peer.path, "reload", columns=20, files=["stderr"])
        assert screen(t.read("first, which is qui")) == "first, which is qui"
        go.set()
        assert screen(t.read("\u2713\033[K")) == "second: caf\u00e9 \u2713"
        go.set()
        assert screen(t.read(" x\033[K")) == "odd \\x1b[2J\\x07 x"
        go.set()
        r = t.finish()
        assert (r.status, r.out) == (DONE, "done\n")
        assert screen(t.text) == "" and "\n" not in t.text


def test_progress_before_a_failure(tmp_path):
    talk = says(answer(102, "a very long line of progress"),
                answer(500, "no\n"))
    with Peer(tmp_path / "s", talk) as peer:
        t = Terminal("-s", peer.path, "reload")
        assert t.finish().status == FAILED
        assert screen(t.text) == "asgictl: reload: no\n"


def test_progress_on_a_dumb_terminal(tmp_path):
    talk = says(answer(102, "first"), answer(102, "second\n"),
                answer(200, "done\n"))
    with Peer(tmp_path / "s", talk) as peer:
        t = Terminal("-s", peer.path, "reload", env={"TERM": "dumb"})
        assert t.finish().status == DONE
        assert t.text == "first\r\nsecond\r\ndone\r\n"


def test_no_progress_on_pipes(tmp_path):
    talk = says(answer(102, "first"), answer(200, "done\n"))
    with Peer(tmp_path / "s", talk) as peer:
        r = asgictl("-s", peer.path, "reload")
        assert (r.status, r.out, r.err) == (DONE, "done\n", "")
        r = asgictl("-s", peer.path, "reload", "--progress")
        assert (r.status, r.out, r.err) == (DONE, "done\n", "first\n")


def test_interrupt(tmp_path):
    release = threading.Event()
    with Peer(tmp_path / "s", mute(release)) as peer:
        p = start("-s", peer.path, "reload")
        tool.poll(lambda: peer.lines, "the request")
        p.send_signal(signal.SIGINT)
        assert finish(p).status == -signal.SIGINT
        release.set()


# ---- stop --------------------------------------------------------------

# A process of its own: what asgictl waits for is its end.
DAEMON = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(1)
print("up", flush=True)
c, _ = s.accept()
print(c.recv(100).decode(), end="", flush=True)
c.sendall(sys.argv[2].encode().decode("unicode_escape").encode())
if sys.argv[3] == "close":
    c.close()
sys.stdin.read()        # lives until then
"""


def daemon(path, says, then):
    p = subprocess.Popen([sys.executable, "-c", DAEMON, str(path), says,
                          then], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"up\n"
    return p


def asked(d):
    """What a daemon was told, when it has been."""
    return d.stdout.readline().decode()


def still_runs(p, seconds=0.2):
    """For what must not happen."""
    try:
        p.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


@pytest.mark.parametrize("says, out, then", [
    ("200 5\\ngone\\n", "gone\n", "keep"),
    ("200 5\\ngone\\n", "gone\n", "close"),
    ("", "", "close"),
])
def test_stop_waits_for_the_end(tmp_path, says, out, then):
    """Until the process is gone, whether or not its answer was seen."""
    d = daemon(tmp_path / "s", says, then)
    p = start("-s", tmp_path / "s", "stop")
    assert asked(d) == "stop\n" and still_runs(p)
    d.stdin.close()
    r = finish(p)
    assert (r.status, r.out, r.err) == (DONE, out, "")
    d.wait()


def can_unshare():
    return os.geteuid() == 0 and subprocess.run(
        ["unshare", "--pid", "--fork", "true"],
        capture_output=True).returncode == 0


def stop_from_another_pid_namespace(path):
    return subprocess.run(["unshare", "--pid", "--fork", tool.ASGICTL, "-s",
                           str(path), "stop"], capture_output=True,
                          text=True, timeout=tool.DEADLINE)


@pytest.mark.skipif(not can_unshare(), reason="no PID namespace to be had")
def test_stop_of_one_that_is_busy(tmp_path):
    """No answer, and it does not accept: that is not to be gone."""
    release = threading.Event()
    others = []

    def talk(c):
        fill_queue(tmp_path / "s", others)
        c.close()
        release.wait(tool.DEADLINE)
    with Peer(tmp_path / "s", talk) as peer:
        p = stop_from_another_pid_namespace(peer.path)
        release.set()
    assert (p.returncode, p.stderr) == (
        FAILED, "asgictl: stop: the connection was closed without an "
        "answer\n")
    for c in others:
        c.close()


@pytest.mark.skipif(not can_unshare(), reason="no PID namespace to be had")
def test_stop_from_another_pid_namespace(tmp_path):
    """The process cannot be seen from there: its connection's end counts."""
    d = daemon(tmp_path / "s", "200 5\\ngone\\n", "close")
    p = stop_from_another_pid_namespace(tmp_path / "s")
    assert (p.returncode, p.stdout, p.stderr) == (DONE, "gone\n", "")
    assert d.poll() is None
    d.stdin.close()
    d.wait()


def test_stop_of_one_that_stays(tmp_path):
    """No answer, and the process lives."""
    d = daemon(tmp_path / "s", "", "close")
    r = asgictl("-s", tmp_path / "s", "stop")
    assert r.status == FAILED
    assert r.err == ("asgictl: stop: the connection was closed without an "
                     "answer\n")
    d.stdin.close()
    d.wait()


def test_stop_refused(tmp_path):
    d = daemon(tmp_path / "s", "403 0\\n", "keep")
    r = asgictl("-s", tmp_path / "s", "stop")
    assert (r.status, r.err) == (DENIED, "asgictl: stop: not permitted\n")
    d.stdin.close()
    d.wait()


# ---- wait --------------------------------------------------------------

def test_wait_drained_without_a_daemon(tmp_path):
    r = asgictl("-s", tmp_path / "s", "wait", "drained")
    assert (r.status, r.out, r.err) == (DONE, "", "")


def test_wait_ready_times_out(tmp_path):
    begin = time.monotonic()
    r = asgictl("-s", tmp_path / "s", "wait", "ready", "300ms")
    assert time.monotonic() - begin >= 0.3
    assert r.status == TIMEOUT
    assert r.err == ("asgictl: %s: asgid has not started in time\n" %
                     (tmp_path / "s"))


def test_wait_ready_for_a_start(tmp_path):
    """The daemon comes later; what is left of the time is for it."""
    t = Terminal("-s", tmp_path / "s", "wait", "ready", "60s")
    t.read("waiting for asgid to start")
    with Peer(tmp_path / "s", says(answer(200, "1 of 1 serve\n"))) as peer:
        r = t.finish()
        assert r.status == DONE
        assert screen(t.text) == "1 of 1 serve\n"
        words = peer.lines[0].split()
        assert words[0] == "wait" and words[-2] == "ready"
        assert words[-1].endswith("ms") and 0 < int(words[-1][:-2]) < 60000


def test_wait_for_ever(tmp_path):
    p = start("-s", tmp_path / "s", "wait", "ready")
    assert still_runs(p)
    with Peer(tmp_path / "s", says(answer(200, "ready\n"))) as peer:
        assert finish(p).status == DONE
        assert peer.lines == ["wait ready\n"]


def test_wait_for_one_that_hangs(tmp_path):
    """The daemon's own time-out is waited for, but not for ever."""
    release = threading.Event()
    with Peer(tmp_path / "s", mute(release)) as peer:
        r = asgictl("-s", peer.path, "wait", "ready", "100ms")
        release.set()
    assert (r.status, r.err) == (TIMEOUT,
                                 "asgictl: wait: asgid does not answer\n")


def test_wait_for_one_that_dies(tmp_path):
    """While it starts: that is a failure, not a reason to wait on."""
    d = daemon(tmp_path / "s", "", "keep")
    p = start("-s", tmp_path / "s", "wait", "ready")
    assert asked(d) == "wait ready\n" and still_runs(p)
    d.kill()
    r = finish(p)
    assert r.status == FAILED
    assert r.err == ("asgictl: wait: the connection was closed without an "
                     "answer\n")
    d.wait()
