# SPDX-License-Identifier: BSD-3-Clause
"""The scripts for shells, by completing words in those shells."""
import codecs
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

import tool
from tool import Peer, answer, asgictl, says

COMMANDS = ["status", "stats", "workers", "reload", "stop", "reopen",
            "scale", "restart-worker", "check", "config", "wait", "ping",
            "version", "help"]
WORKERS = "ID  STATE\n3   serving\n17  draining\n"

# BASH: the words of the line are the arguments, the last one is completed
BASH = """
source "$SCRIPT"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_asgictl
printf '%s\\n' "${COMPREPLY[@]}"
"""

CASES = [
    (["re"], ["reload", "reopen", "restart-worker"]),
    (["-q", "pi"], ["ping"]),
    (["stats", "--"], ["--json", "--openmetrics", "--prometheus"]),
    (["stop", "--"], ["--now"]),
    (["wait", ""], ["drained", "ready"]),
    (["-s", "reload", "wait", "d"], ["drained"]),
    (["help", "st"], ["stats", "status", "stop"]),
    (["ping", ""], []),
]


def run(shell, script, *words, env=None):
    if shutil.which(shell) is None:
        pytest.skip("no " + shell)
    here = os.path.dirname(tool.ASGICTL)
    r = subprocess.run(
        [shell, *script, *words], capture_output=True, text=True,
        timeout=tool.DEADLINE, env=tool.environment(
            PATH=here + ":" + os.environ["PATH"], **(env or {})))
    assert r.stderr == "", r
    return r.stdout


@pytest.fixture(params=["bash", "zsh", "fish"])
def script(tmp_path, request):
    path = tmp_path / request.param
    r = asgictl("completion", request.param)
    assert r.status == 0 and r.err == ""
    path.write_text(r.out)
    return path


def test_syntax(script):
    run(script.name, ["-n"], str(script))


def test_every_command_and_flag(script):
    """The script knows what help knows."""
    text = script.read_text()
    for name in COMMANDS:
        assert name in text
        for word in asgictl("help", name).out.split():
            if word.startswith("--"):
                assert word in text or "-l " + word[2:] in text


def bash(path, *words):
    return sorted(run("bash", ["-c", BASH, "bash"], "asgictl", *words,
                      env={"SCRIPT": str(path)}).split())


def fish(path, *words):
    code = 'source %s; complete -C "asgictl %s"' % (path, " ".join(words))
    return sorted(line.split("\t")[0] for line in
                  run("fish", ["--no-config", "-c"], code).splitlines())


COMPLETE = {"bash": bash, "fish": fish}


@pytest.fixture(params=["bash", "fish"])
def complete(tmp_path, request):
    path = tmp_path / request.param
    path.write_text(asgictl("completion", request.param).out)
    return lambda *words: COMPLETE[request.param](path, *words)


@pytest.mark.parametrize("words, wanted", CASES)
def test_words(complete, words, wanted):
    assert complete(*words) == wanted


def test_first_word(complete):
    """All commands; options too when the shell offers them unasked."""
    found = complete("")
    assert set(COMMANDS) <= set(found)
    assert not [w for w in found if w not in COMMANDS and w[0] != "-"]


def test_options(complete):
    assert {"-s", "-c", "-q"} <= set(complete("-"))


def test_files(complete, tmp_path):
    (tmp_path / "a-socket").write_text("")
    (tmp_path / "a-folder").mkdir()
    found = complete("-s", str(tmp_path) + "/a-")
    assert [f.rstrip("/").rpartition("/")[2] for f in found] == \
        ["a-folder", "a-socket"]


def test_workers(complete, tmp_path):
    """The running ones, of the asgid that the line names."""
    with Peer(tmp_path / "s", says(answer(200, WORKERS))) as peer:
        assert complete("-s", peer.path, "restart-worker", "") == ["17", "3"]
        assert peer.lines == ["workers\n"]


# ---- zsh: its completion works at a prompt only ------------------------

# a key that completes the word and prints the line
ZSH = """
fpath=($PWD $fpath)
autoload -U compinit && compinit -u -D
show() { zle complete-word; print -r -- "<$BUFFER"'>' }
zle -N show && bindkey -e '^T' show && print '<'ready'>'
"""


def zsh(path, line):
    """The words of the line after the last of them was completed."""
    if shutil.which("zsh") is None:
        pytest.skip("no zsh")
    here = os.path.dirname(tool.ASGICTL)
    fd, other = pty.openpty()
    env = tool.environment(PATH=here + ":" + os.environ["PATH"], TERM="dumb")
    p = subprocess.Popen(["zsh", "-f", "-i"], stdin=other, stdout=other,
                         stderr=other, env=env, start_new_session=True,
                         cwd=path.parent)
    os.close(other)
    text = ""
    decoder = codecs.getincrementaldecoder("utf-8")()

    def until(pattern):
        nonlocal text
        end = time.monotonic() + tool.DEADLINE
        while not re.search(pattern, text, re.S):
            left = max(0, end - time.monotonic())
            assert select.select([fd], [], [], left)[0], text
            text += decoder.decode(os.read(fd, 4096))
        return re.search(pattern, text, re.S)[1]

    try:
        os.write(fd, ZSH.encode())
        until("<(ready)>")
        os.write(fd, line.encode() + b"\x14")
        return until("<(asgictl .*?) *>").split()[1:]
    finally:
        p.kill()
        p.wait()
        os.close(fd)


@pytest.mark.parametrize("words, wanted", [
    ("pi", ["ping"]),
    ("-q relo", ["-q", "reload"]),
    ("stop -", ["stop", "--now"]),
    ("stats --o", ["stats", "--openmetrics"]),
    ("-s FOLDER/a-so", ["-s", "FOLDER/a-socket"]),
    ("-s reload wait d", ["-s", "reload", "wait", "drained"]),
    ("help sta", ["help", "stat"]),
    ("ping ", ["ping"]),
    ("-s FOLDER/a-socket restart-worker 1",
     ["-s", "FOLDER/a-socket", "restart-worker", "17"]),
])
def test_zsh(tmp_path, words, wanted):
    path = tmp_path / "_asgictl"
    path.write_text(asgictl("completion", "zsh").out)
    folder = str(tmp_path)
    with Peer(tmp_path / "a-socket", says(answer(200, WORKERS))):
        assert zsh(path, "asgictl " + words.replace("FOLDER", folder)) == \
            [w.replace("FOLDER", folder) for w in wanted]
