# SPDX-License-Identifier: BSD-3-Clause
"""The master where the kernel, or somebody on the machine, means it no
good."""
import contextlib
import errno
import os
import pathlib
import re
import resource
import signal
import socket
import struct

import pytest

from conftest import DEADLINE, all_pids, poll, refusing, stat_of

LISTEN = 'listen = ({ address = "127.0.0.1:0"; });\n'
SO_PASSRIGHTS = 83
# before Linux 6.16
OLD = refusing(("setsockopt", errno.ENOPROTOOPT, 2, SO_PASSRIGHTS))


class Controlled:
    def __init__(self, asgid, tmp, conf="", **kw):
        self.path = str(tmp / "control.sock")
        self.a = asgid(conf=LISTEN + 'control = { socket = "%s"; };\n' %
                       self.path + conf, **kw).serving()

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(DEADLINE)
        s.connect(self.path)
        return s

    def ask(self, line):
        with self.connect() as s:
            s.sendall(line.encode() + b"\n")
            s.shutdown(socket.SHUT_WR)
            return s.makefile().read()


# ---- descriptors whose close() lasts ---------------------------------------

def lingering(server):
    """A connection with more in it than its other end will ever read, and an
    hour for the rest."""
    s = socket.create_connection(server.getsockname())
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            s.send(bytes(65536))
    linger(s, 3600)
    return s


def linger(s, seconds):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                 struct.pack("ii", 1, seconds))


def leave_with(client, data, flags, server):
    """Pass one and close it; whoever closes it next waits."""
    s = lingering(server)
    try:
        socket.send_fds(client, [data], [s.fileno()], flags)
    except PermissionError:
        linger(s, 0)
    s.close()


@pytest.mark.parametrize("data, flags, before", [
    (b"ping\n", 0, b""),
    (b"p", 0, b""),
    (b"!", socket.MSG_OOB, b""),
    (b"ping\n", 0, b"ping\n"),
    (b"ping\n", 0, b"wait drained\n" * 2000),
], ids=["line", "beginning", "urgent", "second", "unread"])
@pytest.mark.parametrize("kernel", [None, OLD], ids=["this", "old"])
def test_descriptors_that_linger_hold_nobody_up(asgid, tmp, kernel, data,
                                                flags, before):
    c = Controlled(asgid, tmp, preexec_fn=kernel)
    with socket.create_server(("127.0.0.1", 0)) as server:
        # it must find them when they are its alone
        os.kill(c.a.pid, signal.SIGSTOP)
        poll(lambda: stat_of(c.a.pid)[0] == "T", "stopped")
        with c.connect() as client:
            client.sendall(before)
            leave_with(client, data, flags, server)
            os.kill(c.a.pid, signal.SIGCONT)
            assert c.ask("ping") == "200 5\npong\n"
        assert c.ask("ping") == "200 5\npong\n"
        c.a.stop()


def zombies(parent):
    found = []
    for pid in all_pids():
        with contextlib.suppress(OSError):
            text = pathlib.Path("/proc/%d/stat" % pid).read_text()
            state, ppid = text.rpartition(")")[2].split()[:2]
            if state == "Z" and int(ppid) == parent:
                found.append(pid)
    return found


# ---- system calls that fail ------------------------------------------------

@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM])
def test_without_pidfds_the_ends_of_workers_are_heard(asgid, tmp, error):
    a = asgid("--workers", "2", preexec_fn=refusing(("pidfd_open", error)),
              conf=LISTEN, fake="recycle=%s/now" % tmp).serving(2)
    assert a.log.count("pidfd_open: " + os.strerror(error)) == 1
    first = a.workers()
    os.kill(first[0], signal.SIGKILL)
    a.wait_log("died: killed by SIGKILL")
    a.wait_log("fake: go$", 3)
    # several at once are heard by one signal
    os.kill(a.pid, signal.SIGSTOP)
    poll(lambda: stat_of(a.pid)[0] == "T", "stopped")
    second = a.workers()
    for pid in second:
        os.kill(pid, signal.SIGKILL)
    poll(lambda: not any(map(stat_of, second)), "killed")
    a.behave("")
    os.kill(a.pid, signal.SIGCONT)
    a.wait_log("fake: go$", 5)
    assert len(a.workers()) == 2
    a.signal(signal.SIGHUP)
    a.wait_log("fake: go$", 7)
    a.wait_log("Finished worker process", 2)
    poll(lambda: not zombies(a.pid), lambda: zombies(a.pid))
    a.stop()


def test_worker_that_cannot_start_without_pidfds(asgid):
    a = asgid(preexec_fn=refusing(("pidfd_open", errno.EPERM)), fake="fail=3")
    assert a.wait() == 3


def test_refused_memfd_is_named(asgid):
    a = asgid(preexec_fn=refusing(("memfd_create", errno.EPERM)))
    assert a.wait() == 1
    assert re.search("cannot start a worker: .*memfd_create: Operation not "
                     "permitted", a.log)


# of a user who has no other process, not even in another run of this
LONELY = 20000 + os.getpid() % 40000


def alone():
    """Root is not bound by RLIMIT_NPROC."""
    if os.geteuid() == 0:
        os.setgid(LONELY)
        os.setuid(LONELY)


def limit(pid, what, soft, user=None):
    """Root may not set those of other users everywhere."""
    child = os.fork()
    if child == 0:
        try:
            (user or (lambda: None))()
            hard = resource.prlimit(pid, what)[1]
            resource.prlimit(pid, what, (soft if soft else hard, hard))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("command", ["scale 2", "restart-worker 1"])
def test_who_waits_for_a_worker_hears_that_there_is_none(asgid, tmp, command):
    tmp.chmod(0o777)
    c = Controlled(asgid, tmp, preexec_fn=alone,
                   env={"ASAN_OPTIONS": "detect_leaks=0"})
    limit(c.a.pid, resource.RLIMIT_NPROC, 1, alone)
    answer = c.ask(command)
    assert answer.startswith("500 "), answer
    assert "cannot start a worker: Resource temporarily unavailable" in answer
    # and it is tried again
    limit(c.a.pid, resource.RLIMIT_NPROC, None, alone)
    c.a.wait_log("fake: go$", 2)
    c.a.stop()


def test_wait_for_nearly_ever(asgid, tmp):
    c = Controlled(asgid, tmp)
    c.a.behave("until=%s/ready" % tmp)
    os.kill(c.a.worker(), signal.SIGKILL)
    c.a.wait_log("Started worker process", 2)
    with c.connect() as client:
        client.sendall(b"wait ready 9223372036s\n")
        # another one is answered in a later turn of the loop
        assert c.ask("ping") == "200 5\npong\n"
        (tmp / "ready").touch()
        assert client.makefile().readline() == "200 0\n"
    c.a.stop()


def test_what_is_queued_does_not_hold_up_the_end(asgid, tmp):
    # the look for leaks at the end needs descriptors
    c = Controlled(asgid, tmp, preexec_fn=OLD,
                   env={"ASAN_OPTIONS": "detect_leaks=0"})
    limit(c.a.pid, resource.RLIMIT_NOFILE, 3)
    with socket.create_server(("127.0.0.1", 0)) as server, \
            c.connect() as client:
        leave_with(client, b"ping\n", 0, server)
        c.a.wait_log("control.socket: accept: Too many open files")
        c.a.stop()


def test_log_file_that_may_not_grow(asgid, tmp):
    """ulimit -f, with the signal that tells of it."""
    limit = 1 << 20
    log = tmp / "log"
    log.write_bytes(bytes(limit - 4000))

    def bound():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with open(log, "ab") as f:
        a = asgid(conf=LISTEN, stderr=f, preexec_fn=bound)
    a.errpath = log
    a.serving()
    poll(lambda: a.signal(signal.SIGUSR2) or log.stat().st_size == limit,
         "it is full")
    a.signal(signal.SIGUSR2)
    assert a.ask() == a.worker()
    a.stop()
