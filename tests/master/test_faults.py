# SPDX-License-Identifier: BSD-3-Clause
"""The master where the kernel, or somebody on the machine, means it no
good."""
import contextlib
import errno
import os
import signal
import socket
import struct

import pytest

from conftest import DEADLINE, poll, refusing, stat_of

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
