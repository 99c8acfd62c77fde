# SPDX-License-Identifier: BSD-3-Clause
"""Words of applications and clients on the administrator's terminal, and
whose word it is."""
import json
import os
import tempfile

import pytest

from tool import DONE, FAILED, Peer, Terminal, answer, asgictl, says

# what comes -> what a terminal gets
HOSTILE = {
    "\x1b[2J": "\\x1b[2J", "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "\x9b31m": "\\u009b31m", "\x7f": "\\x7f", "over\rwritten":
    "over\\x0dwritten", "\x00": "\\x00", "\u202egnp.exe": "\\u202egnp.exe",
    "\u2066a\u2069": "\\u2066a\\u2069", "\u2028": "\\u2028", "\b": "\\x08",
}
HARMLESS = "Zoë, a\ttab, 漢字, 🦄, \\x1b, \u200d and\nlines\n"


def shown(text, *words, code=200, file="stdout", path=None, **kw):
    """What the terminal gets, with the line ends that asgictl wrote."""
    if isinstance(text, str):
        text = text.encode()
    data = b"%d %d\n%s" % (code, len(text), text)
    with Peer(path, says(data)) as peer:
        t = Terminal("-s", peer.path, *words, files=(file,), **kw)
        r = t.finish()
    return r, t.text.replace("\r\n", "\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_answer(tmp_path, text):
    r, out = shown("a %s b\n" % text, "config", path=tmp_path / "s")
    assert (r.status, out) == (DONE, "a %s b\n" % HOSTILE[text])


@pytest.mark.parametrize("text", HOSTILE)
def test_failure(tmp_path, text):
    r, err = shown("a %s b\n" % text, "reload", code=500, file="stderr",
                   path=tmp_path / "s")
    assert r.status == FAILED
    assert err == "asgictl: reload: a %s b\n" % HOSTILE[text]


def test_harmless(tmp_path):
    r, out = shown(HARMLESS, "config", path=tmp_path / "s")
    assert (r.status, out) == (DONE, HARMLESS)


@pytest.mark.parametrize("data, plain", [
    (b"\x9b2J", "\\x9b2J"), (b"\xff\xfe", "\\xff\\xfe"),
    (b"\xc3", "\\xc3"), (b"\xe2\x80", "\\xe2\\x80"),
    (b"\xc1\x9b", "\\xc1\\x9b"),           # overlong
    (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),  # a surrogate
    (b"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80")])
def test_no_utf8(tmp_path, data, plain):
    r, out = shown(data + b"\n", "config", path=tmp_path / "s")
    assert (r.status, out) == (DONE, plain + "\n")


def test_json_stays_json(tmp_path):
    """An answer of asgid: its own writer escapes C0, but not these."""
    value = {"last_end": "\x7f\x9b2J \u202e \u2028 漢"}
    text = json.dumps(value, ensure_ascii=False) + "\n"
    r, out = shown(text, "workers", "--json", path=tmp_path / "s")
    assert r.status == DONE and json.loads(out) == value
    assert out == ('{"last_end": "\\u007f\\u009b2J \\u202e \\u2028 漢"}\n')


def test_colours_of_asgid(tmp_path):
    text = ("\x1b[32mserving\x1b[0m \x1b[8mhidden\x1b[0m \x1b[30m \x1b[37m"
            " \x1b[31;5m \x1b[2J \x1b\n")
    r, out = shown(text, "workers", path=tmp_path / "s")
    assert (r.status, out) == (DONE, (
        "\x1b[32mserving\x1b[0m \\x1b[8mhidden\x1b[0m \\x1b[30m \\x1b[37m"
        " \\x1b[31;5m \\x1b[2J \\x1b\n"))


def test_a_pipe_gets_all_as_it_is(tmp_path):
    text = "".join(HOSTILE) + HARMLESS
    with Peer(tmp_path / "s", says(answer(200, text))) as peer:
        r = asgictl("-s", peer.path, "config")
        assert r.status == DONE
        assert r.out == text.replace("\r", "\n")    # by Python's reading
    with Peer(tmp_path / "s", says(answer(500, text))) as peer:
        r = asgictl("-s", peer.path, "reload")
        assert r.err == "asgictl: reload: " + text.replace("\r", "\n")


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_progress(tmp_path, term):
    with Peer(tmp_path / "s", says(answer(100, "a\x1b[2J\u202e\x9bb\n"),
                                   answer(200, ""))) as peer:
        t = Terminal("-s", peer.path, "reload", files=("stderr",),
                     env={"TERM": term})
        assert t.finish().status == DONE
    assert "a\\x1b[2J\\u202e\\u009bb" in t.text
    assert "\x1b[2J" not in t.text and "\u202e" not in t.text


# ---- whose word it is --------------------------------------------------

class SomebodyElse(Peer):
    """The one who has called listen() is who the kernel tells of."""

    def __init__(self, path, talk):
        super().__init__(path, talk)
        os.chmod(path, 0o777)
        os.seteuid(65534)
        try:
            self.sock.listen(8)
        finally:
            os.seteuid(0)


NOTE = "asgictl: %s: this asgid is run by user nobody (65534)\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_owner(tmp_path):
    talk = says(answer(200, "pong\n"))
    tmp_path.chmod(0o755)
    with SomebodyElse(tmp_path / "s", talk) as peer:
        r = asgictl("-s", peer.path, "ping")
        assert (r.status, r.out) == (DONE, "pong\n")
        assert r.err == NOTE % peer.path
        r = asgictl("-q", "-s", peer.path, "ping")
        assert (r.status, r.out, r.err) == (DONE, "", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_owner_is_oneself_or_root():
    talk = says(answer(200, "pong\n"))
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for kind in SomebodyElse, Peer:
            with kind(folder + "/s", talk) as peer:
                os.chmod(peer.path, 0o777)
                r = asgictl("-s", peer.path, "ping", user=65534, group=65534,
                            extra_groups=[])
                assert (r.status, r.out, r.err) == (DONE, "pong\n", "")
