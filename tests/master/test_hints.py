# SPDX-License-Identifier: BSD-3-Clause
"""What is said, beyond the error itself, of an address that cannot be used."""
import os
import pathlib
import re
import socket

import pytest

from conftest import root_only
from test_listen import needs_ipv6

FREE = pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
MINE = r"Address already in use by \S+ \(process %d\)$" % os.getpid()


def listener(address, family=socket.AF_INET):
    s = socket.socket(family)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind((address, 0))
    s.listen()
    return s


def refused(asgid, *args, **kw):
    a = asgid(*args, **kw)
    assert a.wait() == 1
    return a.log


@pytest.mark.parametrize("theirs, ours", [
    ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"),
    ("127.0.0.1", "0.0.0.0"),
    pytest.param("::1", "::1", marks=needs_ipv6),
    pytest.param("::", "::1", marks=needs_ipv6),
    pytest.param("::", "127.0.0.1", marks=needs_ipv6)])
def test_who_is_there(asgid, theirs, ours):
    family = socket.AF_INET6 if ":" in theirs else socket.AF_INET
    with listener(theirs, family) as s:
        log = refused(asgid, "--host", ours, "--port",
                      str(s.getsockname()[1]))
    assert re.search(MINE, log, re.M), log


def test_who_is_at_a_unix_socket(asgid, tmp):
    path = str(tmp / "s")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen()
        log = refused(asgid, "--uds", path)
        assert re.search("listen unix:%s: " % path + MINE, log, re.M), log
        log = refused(asgid, "-o", "control.socket=" + path)
        assert re.search("control.socket unix:%s: " % path + MINE, log,
                         re.M), log
    # nothing is said of who only stands nearby
    (tmp / "file").touch()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path + "2")
        log = refused(asgid, "--uds", str(tmp / "file"))
    assert "(process" not in log


def test_who_is_at_the_address_of_metrics(asgid):
    with listener("127.0.0.1") as s:
        log = refused(asgid, "-o", "metrics.listen=127.0.0.1:%d" %
                      s.getsockname()[1])
    assert re.search("metrics.listen .*" + MINE, log, re.M), log


def test_who_is_bound_elsewhere_is_not_blamed(asgid):
    """A port that is taken, but not by who listens on another address."""
    with socket.socket() as s, socket.socket() as other:
        s.bind(("127.0.0.1", 0))
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.2", s.getsockname()[1]))
        other.listen()
        log = refused(asgid, "--port", str(s.getsockname()[1]))
    assert re.search("Address already in use$", log, re.M), log


@root_only
def test_of_another_user(asgid):
    with listener("127.0.0.1") as s:
        log = refused(asgid, "--port", str(s.getsockname()[1]),
                      user="nobody")
    assert re.search("in use by a process of user 0; root sees which: "
                     "ss -ltnp$", log, re.M), log


@root_only
def test_a_port_that_needs_a_privilege(asgid):
    if int(FREE.read_text()) < 2:
        pytest.skip("no port needs a privilege here")
    log = refused(asgid, "--port", "1", user="nobody")
    assert re.search(r"listen 127\.0\.0\.1:1: Permission denied; a port below "
                     r"%s needs a privilege: start asgid as root and set user,"
                     r" .*systemd\.socket.*setcap cap_net_bind_service=\+ep "
                     r"/\S+/asgid$" % FREE.read_text().strip(), log,
                     re.M), log


def test_an_address_of_nobody(asgid):
    log = refused(asgid, "--host", "192.0.2.77")
    assert re.search("listen 192.0.2.77:[0-9]+: Cannot assign requested "
                     "address: no interface of this machine has it$", log,
                     re.M), log
