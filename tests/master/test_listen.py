# SPDX-License-Identifier: BSD-3-Clause
"""Listening sockets of every kind."""
import ctypes
import errno
import os
import re
import signal
import socket
import stat
import struct
import sys

import pytest

from conftest import poll, root_only


def listen(*elements):
    return "listen = ( %s );\n" % ", ".join("{ %s }" % e for e in elements)


def refused(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as s:
        return s.connect_ex(address) != 0


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not have_ipv6(), reason="no IPv6 here")


# ---- TCP -------------------------------------------------------------------

def test_tcp(asgid, port):
    a = asgid("--port", str(port)).serving()
    assert a.port == port and a.ask() == a.worker()
    a.stop()
    assert refused(("127.0.0.1", a.port))


@needs_ipv6
def test_tcp_v6(asgid):
    a = asgid("--host", "::1").serving()
    assert a.urls[0].startswith("http://[::1]:")
    assert a.ask(("::1", a.port)) == a.worker()
    a.stop()


@needs_ipv6
def test_all_addresses_share_the_port_that_was_found(asgid):
    a = asgid(conf=listen('address = "*:0";')).serving()
    assert sorted(a.urls) == ["http://0.0.0.0:%d" % a.port,
                              "http://[::]:%d" % a.port]
    assert a.ask(("127.0.0.1", a.port)) == a.worker()
    assert a.ask(("::1", a.port)) == a.worker()
    a.stop()


def test_name(asgid):
    a = asgid("--host", "localhost").serving()
    known = {i[4][0] for i in socket.getaddrinfo("localhost", 80)}
    for url in a.urls:
        host = url[len("http://"):].rpartition(":")[0].strip("[]")
        assert host in known
        assert a.ask((host, a.port)) == a.worker()
    a.stop()


def test_unknown_name(asgid):
    """One that nobody has to be asked for, who may not answer: a part of it
    is longer than parts of names are."""
    name = 70 * "x" + ".invalid"
    a = asgid("--host", name, "--port", "8000")
    assert a.wait() == 1
    assert re.search(r"listen %s:8000: \S" % re.escape(name), a.log)


def test_address_in_use(asgid):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        a = asgid("--port", str(port))
        assert a.wait() == 1
    assert "listen 127.0.0.1:%d: Address already in use" % port in a.log
    assert "Started worker" not in a.log


def test_foreign_address(asgid):
    a = asgid("--host", "192.0.2.1", "--port", "8000")
    assert a.wait() == 1
    assert "listen 192.0.2.1:8000: Cannot assign requested address" in a.log


@root_only
def test_privileged_port(asgid):
    first = int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read())
    if first == 0:
        pytest.skip("every port is free for all")
    a = asgid("--port", "1", user="nobody")
    assert a.wait() == 1
    assert "listen 127.0.0.1:1: Permission denied" in a.log


def test_several(asgid, tmp):
    path = str(tmp / "s")
    a = asgid(conf=listen('address = "127.0.0.1:0";',
                          'unix = "%s";' % path,
                          'address = "127.0.0.1:0";')).serving()
    assert len(a.urls) == 3 and a.urls[1] == "unix socket " + path
    ports = [int(a.urls[i].rpartition(":")[2]) for i in (0, 2)]
    assert ports[0] != ports[1]
    for address in (path, *(("127.0.0.1", p) for p in ports)):
        assert a.ask(address) == a.worker()
    a.stop()


def test_one_of_several_fails(asgid, tmp):
    path = tmp / "s"
    a = asgid(conf=listen('unix = "%s";' % path,
                          'address = "192.0.2.1:8000";'))
    assert a.wait() == 1
    assert not path.exists()


# ---- UNIX ------------------------------------------------------------------

def without_net_admin():
    """As root in a container: the socket itself does not tell its file."""
    ctypes.CDLL(None).prctl(24, 12, 0, 0, 0)    # PR_CAPBSET_DROP


@pytest.mark.parametrize("prepare", [None, without_net_admin])
def test_unix_mode_group_and_removal(asgid, tmp, prepare):
    path = tmp / "s"
    group = 'group = "daemon"; owner = "nobody";' if os.geteuid() == 0 else ""
    a = asgid(conf=listen('unix = "%s"; mode = "0640"; %s' % (path, group)),
              umask=0o077, preexec_fn=prepare).serving()
    st = path.stat()
    assert stat.S_ISSOCK(st.st_mode)
    assert stat.S_IMODE(st.st_mode) == 0o640
    if group:
        assert (path.owner(), path.group()) == ("nobody", "daemon")
    assert a.ask(str(path)) == a.worker()
    a.stop()
    assert not path.exists()


def test_unix_mode_under_an_open_umask(asgid, tmp):
    path = tmp / "s"
    a = asgid(conf=listen('unix = "%s"; mode = "0600";' % path),
              umask=0).serving()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    a.stop()


def test_unix_unknown_group(asgid, tmp):
    a = asgid(conf=listen('unix = "%s/s"; group = "no-such-group";' % tmp))
    assert a.wait() == 6
    assert "no such group: no-such-group" in a.log
    assert not (tmp / "s").exists()


def test_unix_removed_also_after_a_failed_start(asgid, tmp):
    a = asgid("--uds", str(tmp / "s"), fake="fail=3")
    assert a.wait() == 3
    assert not (tmp / "s").exists()


def test_unix_stale_is_replaced(asgid, tmp):
    path = str(tmp / "s")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
    a = asgid("--uds", path).serving()
    assert "listen unix:%s: replacing a stale socket" % path in a.log
    assert a.ask(path) == a.worker()
    a.stop()


def test_unix_stale_of_a_killed_master(asgid, tmp):
    path = str(tmp / "s")
    a = asgid("--uds", path).serving()
    a.signal(signal.SIGKILL)
    a.wait()
    poll(lambda: refused(path), "the workers end")
    b = asgid("--uds", path).serving()
    assert b.ask(path) == b.worker()
    b.stop()


@pytest.mark.parametrize("kind, listens", [
    (socket.SOCK_STREAM, True), (socket.SOCK_STREAM, False),
    (socket.SOCK_DGRAM, False)])
def test_unix_in_use_is_kept(asgid, tmp, kind, listens):
    """Also by one that has not got to listen() yet; the look brings it no
    connection."""
    path = str(tmp / "s")
    with socket.socket(socket.AF_UNIX, kind) as s:
        s.bind(path)
        if listens:
            s.listen()
        inode = os.lstat(path).st_ino
        a = asgid("--uds", path)
        assert a.wait() == 1
        assert "listen unix:%s: Address already in use" % path in a.log
        assert os.lstat(path).st_ino == inode
        if listens:
            s.setblocking(False)
            with pytest.raises(BlockingIOError):
                s.accept()


def test_unix_folder_with_a_default_access_list(asgid, tmp):
    """It takes from the mode of what is made there, which still is the one
    that was asked for."""
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, allowed, 0xffffffff)
        for tag, allowed in ((0x01, 7), (0x04, 0), (0x20, 0)))
    try:
        os.setxattr(tmp, "system.posix_acl_default", acl)
    except OSError as e:
        if e.errno in (errno.ENOTSUP, errno.EPERM):
            return          # nothing that could go wrong here
        raise
    path = tmp / "s"
    a = asgid(conf=listen('unix = "%s"; mode = "0666";' % path)).serving()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    a.stop()


def test_unix_regular_file_is_untouched(asgid, tmp):
    path = tmp / "s"
    path.write_text("precious")
    a = asgid("--uds", str(path))
    assert a.wait() == 1
    assert "a file that is no socket is there" in a.log
    assert path.read_text() == "precious"


def test_unix_symbolic_link_is_untouched(asgid, tmp):
    path = tmp / "s"
    path.symlink_to(tmp / "elsewhere")
    a = asgid("--uds", str(path))
    assert a.wait() == 1
    assert path.is_symlink() and not (tmp / "elsewhere").exists()


def test_unix_successor_is_not_removed(asgid, tmp):
    path = tmp / "s"
    a = asgid("--uds", str(path)).serving()
    path.unlink()
    b = asgid("--uds", str(path)).serving()
    a.stop()
    assert b.ask(str(path)) == b.worker()
    b.stop()
    assert not path.exists()


# ---- inherited -------------------------------------------------------------

@pytest.mark.parametrize("kind", ["tcp", "bound", "unix"])
def test_fd(asgid, tmp, kind):
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
    with socket.socket(family) as s:
        s.bind(str(tmp / "s") if kind == "unix" else ("127.0.0.1", 0))
        if kind != "bound":
            s.listen()
        fd = s.fileno()
        address = s.getsockname()
        a = asgid("--fd", str(fd), pass_fds=[fd]).serving()
        assert a.ask(address) == a.worker()
        a.stop()
    if kind == "unix":
        assert (tmp / "s").exists()


def test_fd_of_stdin(asgid):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        a = asgid("--fd", "0", stdin=s.fileno(), fake="report").serving()
        assert a.ask(s.getsockname()) == a.worker()
        assert "fake: fd 0 /dev/null" in a.log
        a.stop()


def test_fd_that_is_no_socket(asgid):
    read, write = os.pipe()
    a = asgid("--fd", str(read), pass_fds=[read])
    assert a.wait() == 1
    assert "listen fd %d: Socket operation on non-socket" % read in a.log
    os.close(read)
    os.close(write)


def test_fd_that_is_no_stream(asgid):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fd = s.fileno()
        a = asgid("--fd", str(fd), pass_fds=[fd])
        assert a.wait() == 1
        assert "listen fd %d: not a stream socket" % fd in a.log


def test_fd_that_is_not_open(asgid):
    a = asgid("--fd", "77")
    assert a.wait() == 1
    assert "listen fd 77: Bad file descriptor" in a.log


# ---- socket activation -----------------------------------------------------

# what a service manager does between fork and exec
ACTIVATE = """
import os, sys
fds = [int(f) for f in sys.argv[1].split(",")]
high = [os.dup(f) for f in fds]
while min(high) < 3 + len(fds):
    high = [os.dup(f) for f in high]
for i, f in enumerate(high):
    os.dup2(f, 3 + i, inheritable=True)
os.environ.update(LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES="a:b",
                  LISTEN_PID=str(os.getpid() if %r else 1))
os.execv(sys.argv[2], sys.argv[2:])
"""


def activated(asgid, sockets, right_pid=True, **kw):
    fds = [s.fileno() for s in sockets]
    wrapper = [sys.executable, "-c", ACTIVATE % right_pid,
               ",".join(map(str, fds))]
    return asgid(wrapper=wrapper, pass_fds=fds, **kw)


@pytest.fixture
def two(tmp):
    with socket.socket() as s, socket.socket(socket.AF_UNIX) as u:
        s.bind(("127.0.0.1", 0))
        s.listen()
        u.bind(str(tmp / "activated"))
        u.listen()
        yield s, u


def test_activation_replaces_configured_addresses(asgid, tmp, two):
    a = activated(asgid, two, fake="report", conf=listen(
        'address = "127.0.0.1:0";', 'unix = "%s/s";' % tmp)).serving()
    assert "using the service manager's sockets instead" in a.log
    assert a.urls == ["http://127.0.0.1:%d" % two[0].getsockname()[1],
                      "unix socket %s/activated" % tmp]
    for s in two:
        assert a.ask(s.getsockname()) == a.worker()
    assert not (tmp / "s").exists()
    assert "fake: env LISTEN_FDS" not in a.log
    a.stop()
    assert (tmp / "activated").exists()


def test_activation_and_configured_fd(asgid, two):
    a = activated(asgid, two[:1], conf=listen("fd = 3;")).serving()
    assert len(a.urls) == 1
    assert a.ask(two[0].getsockname()) == a.worker()
    a.stop()


def test_activation_meant_for_somebody_else(asgid, two):
    a = activated(asgid, two, right_pid=False).serving()
    assert len(a.urls) == 1
    assert a.port != two[0].getsockname()[1]
    a.stop()
