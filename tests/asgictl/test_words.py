# SPDX-License-Identifier: BSD-3-Clause
"""What asgictl makes of its command line, before anybody is asked."""
import os
import re
import tempfile

import pytest

from tool import (CONFIG, DONE, NOT_RUNNING, Peer, USAGE, answer, asgictl,
                  says)


@pytest.mark.parametrize("words, error", [
    (["bogus"], "bogus: no such command, try help"),
    (["relod"], "relod: no such command, did you mean reload?"),
    (["re"], "re: which one? reload reopen restart-worker"),
    (["scale"], "too few arguments, expected: scale N"),
    (["ping", "me"], "too many arguments, expected: ping"),
    (["ping", "--now"], "ping: --now is not for it, expected: ping"),
    (["wait", "idle"], "idle: expected: wait ready|drained [TIMEOUT]"),
    (["wait", "ready", "soon"],
     "wait: soon: expected a time such as 500ms, 10s or 5m"),
    (["wait", "ready", "0"],
     "wait: 0: expected a time such as 500ms, 10s or 5m"),
    (["scale", "1\nstop"], "word 2 has characters that no word has"),
    ([""], ": no such command, try help"),
    (["-x", "ping"], "-x: unknown option"),
    (["ping", "-x"], "-x: unknown option"),
    (["ping", "-qx"], "-x: unknown option"),
    (["ping", "--foo"], "--foo: unknown option"),
    (["scale", "-1"], "-1: unknown option"),
    (["ping", "-s"], "-s needs a value"),
    (["--now"], "--now: no such command, try help"),
    (["--foo", "ping"], "--foo: unknown option"),
    (["--version=1"], "--version=1: unknown option"),
    (["-s"], "-s needs a value"),
    (["-s", "", "ping"], "-s: the name is empty"),
    (["-s", "a", "-c", "b", "ping"], "give either -s or -c"),
    (["completion"], "expected: completion bash|zsh|fish"),
    (["completion", "csh"], "expected: completion bash|zsh|fish"),
    (["help", "bogus"], "bogus: no such command, try help"),
])
def test_wrong(tmp_path, words, error):
    with Peer(tmp_path / "s", says(answer(200, "never\n"))) as peer:
        if not words[0].startswith("-s"):
            words = ["-s", peer.path] + words if "-c" not in words else words
        r = asgictl(*words)
        assert (r.status, r.out) == (USAGE, ""), r
        assert r.err == "asgictl: %s\n" % error
        assert peer.lines == []


def test_no_command():
    r = asgictl()
    assert r.status == USAGE and r.out == ""
    assert r.err.startswith("asgictl: a command is missing, try help\n")
    assert "usage: asgictl" in r.err and "restart-worker ID" in r.err


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["help"],
                                   ["-h", "bogus"]])
def test_help(words):
    r = asgictl(*words)
    assert r.status == DONE and r.err == ""
    assert r.out.startswith("usage: asgictl [-s SOCKET | -c FILE] [-q] "
                            "COMMAND")
    assert max(map(len, r.out.split("\n"))) < 80
    for name in ("ping", "stop [--now]", "wait ready|drained [TIMEOUT]",
                 "completion bash|zsh|fish"):
        assert re.search("^  %s  " % re.escape(name), r.out, re.M), r


@pytest.mark.parametrize("words", [["help", "sto"], ["stop", "--help"],
                                   ["stop", "-h"], ["sto", "--now", "-qh"]])
def test_help_of_a_command(words):
    r = asgictl(*words)
    assert r.status == DONE and r.err == ""
    assert r.out.startswith("stop [--now]\n")
    assert "cancel what runs" in r.out


@pytest.mark.parametrize("word", ["-V", "--version", "--vers"])
def test_version(word):
    r = asgictl(word)
    assert r.status == DONE and re.fullmatch(r"asgictl \d+\.\d+\S*\n", r.out)


@pytest.mark.parametrize("words, line", [
    (["ping"], "ping\n"),
    (["pi"], "ping\n"),
    (["restart", "7"], "restart-worker 7\n"),
    (["res", "7"], "restart-worker 7\n"),
    (["stats", "--json"], "stats --json\n"),
    (["wait", "drained"], "wait drained\n"),
    (["--", "stats", "--openmetrics"], "stats --openmetrics\n"),
    (["status", "--color"], "status --color\n"),
    (["--json", "stats"], "stats --json\n"),
    (["wait", "--", "drained"], "wait drained\n"),
])
def test_line(tmp_path, words, line):
    """What is sent: whole names, and no word about a terminal on a pipe."""
    with Peer(tmp_path / "s", says(answer(200, "fine\n"))) as peer:
        r = asgictl("-s", peer.path, *words)
        assert (r.status, r.out, r.err) == (DONE, "fine\n", ""), r
        assert peer.lines == [line]


def test_options_behind_the_command(tmp_path):
    with Peer(tmp_path / "s", says(answer(200, "fine\n"))) as peer:
        for words in (["ping", "-s", peer.path], ["ping", "-s" + peer.path],
                      ["wait", "-s", peer.path, "ready"],
                      ["-s", peer.path, "--", "ping"]):
            r = asgictl(*words)
            assert (r.status, r.out, r.err) == (DONE, "fine\n", ""), r
        r = asgictl("-q", "--json", "stats", "-s", peer.path)
        assert (r.status, r.out, r.err) == (DONE, "", ""), r
        assert peer.lines[-1] == "stats --json\n"
        r = asgictl("ping", "-qs", peer.path)
        assert (r.status, r.out, r.err) == (DONE, "", ""), r
    r = asgictl("ping", "-V")
    assert r.status == DONE and r.out.startswith("asgictl ")


# ---- the way to the socket ---------------------------------------------

def test_usual_socket_of_a_user():
    """$XDG_RUNTIME_DIR/asgid/control.sock, for others than root."""
    kw = {}
    if os.geteuid() == 0:
        kw = {"user": 65534, "group": 65534, "extra_groups": []}
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        os.mkdir(d + "/asgid")
        with Peer(d + "/asgid/control.sock",
                  says(answer(200, "here\n"))) as peer:
            os.chmod(peer.path, 0o777)
            r = asgictl("ping", env={"XDG_RUNTIME_DIR": d}, **kw)
            assert (r.status, r.out) == (DONE, "here\n"), r


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_usual_socket_without_a_runtime_directory():
    r = asgictl("ping", user=65534, group=65534, extra_groups=[])
    assert r.status == NOT_RUNNING
    assert r.err == ("asgictl: XDG_RUNTIME_DIR does not lead to a control "
                     "socket, name it with -s or -c\n")


def test_socket_of_a_file(tmp_path):
    """The file need not name an application, the command line may."""
    conf = tmp_path / "conf"
    with Peer(tmp_path / "s", says(answer(200, "here\n"))) as peer:
        conf.write_text('control = { socket = "%s"; };\n' % peer.path)
        r = asgictl("-c", conf, "ping", env={"WEB_CONCURRENCY": "many"})
        assert (r.status, r.out) == (DONE, "here\n"), r


def test_file_without_a_socket(tmp_path):
    conf = tmp_path / "conf"
    conf.write_text('app = "x:y";\ncontrol = { socket = ""; };\n')
    r = asgictl("-c", conf, "ping")
    assert r.status == NOT_RUNNING
    assert r.err == ("asgictl: %s: control.socket is empty: this asgid has "
                     "no control socket\n" % conf)


def test_file_with_errors(tmp_path):
    conf = tmp_path / "conf"
    conf.write_text('app = "x:y";\nbogus = 1;\nlog = { level = "loud"; };\n')
    r = asgictl("-c", conf, "ping")
    assert r.status == CONFIG and r.out == ""
    assert "%s:2: bogus: unknown option" % conf in r.err
    assert "%s:3: log.level" % conf in r.err


def test_file_that_is_missing(tmp_path):
    r = asgictl("-c", tmp_path / "conf", "ping")
    assert r.status == CONFIG
    assert r.err == "%s: No such file or directory\n" % (tmp_path / "conf")
