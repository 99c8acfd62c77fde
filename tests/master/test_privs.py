# SPDX-License-Identifier: BSD-3-Clause
"""Who workers are, and what they can never become."""
import ctypes
import os
import re
import signal

from conftest import root_only

LISTEN = 'listen = ({ address = "127.0.0.1:0"; });\n'
CAP_KILL = 5


def raise_ambient():
    """CAP_KILL, in the sets that are handed on."""
    libc = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    assert libc.capget(head, data) == 0
    data[2] |= 1 << CAP_KILL
    assert libc.capset(head, data) == 0
    assert libc.prctl(47, 2, CAP_KILL, 0, 0) == 0


def raise_and_drop():
    """.. kept by another user, as AmbientCapabilities= and User= do."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(8, 1, 0, 0, 0) == 0
    os.setgid(65534)
    os.setuid(65534)
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(*[1 << CAP_KILL] * 3, 0, 0, 0)
    assert libc.capset(head, data) == 0
    assert libc.prctl(47, 2, CAP_KILL, 0, 0) == 0


def capabilities(log):
    return {name: int(value, 16) for name, value in re.findall(
        r"fake: Cap(Inh|Prm|Amb):\t(\w+)", log)}


# ---- privileges ------------------------------------------------------------

def test_no_new_privileges(asgid):
    a = asgid(fake="report").serving()
    assert "fake: NoNewPrivs:\t1" in a.log
    a.stop()


def test_new_privileges_if_asked_for(asgid):
    a = asgid("-o", "security.no_new_privileges=false",
              fake="report").serving()
    assert "fake: NoNewPrivs:\t0" in a.log
    a.stop()


@root_only
def test_capabilities_are_dropped_with_the_user(asgid):
    a = asgid(conf=LISTEN + 'user = "nobody";\n'
              'security = { no_new_privileges = false; };', fake="report",
              preexec_fn=raise_ambient).serving()
    assert capabilities(a.log) == {"Inh": 0, "Prm": 0, "Amb": 0}
    a.stop()


@root_only
def test_capabilities_of_an_unprivileged_master_are_its_own(asgid):
    a = asgid(conf=LISTEN, fake="report", preexec_fn=raise_and_drop).serving()
    assert capabilities(a.log) == {"Inh": 0, "Prm": 0, "Amb": 0}
    a.stop()
    a = asgid("-o", "security.no_new_privileges=false", conf=LISTEN,
              fake="report", preexec_fn=raise_and_drop).serving()
    assert set(capabilities(a.log).values()) == {1 << CAP_KILL}
    a.stop()


# ---- names -----------------------------------------------------------------

@root_only
def test_user_without_an_entry(asgid):
    a = asgid(conf=LISTEN + 'user = "54321"; group = "54322";',
              fake="report").serving()
    assert "fake: Uid:" + 4 * "\t54321" in a.log
    assert "fake: Groups:\t54322" in a.log
    for name, value in (("USER", "54321"), ("LOGNAME", "54321"),
                        ("HOME", "/")):
        assert "fake: env %s=%s\n" % (name, value) in a.log
    a.stop()


@root_only
def test_number_of_a_user_with_an_entry(asgid):
    a = asgid(conf=LISTEN + 'user = "65534";', fake="report").serving()
    assert "fake: env USER=nobody\n" in a.log
    assert "fake: env LOGNAME=nobody\n" in a.log
    assert "fake: env HOME=/nonexistent\n" in a.log
    a.stop()


@root_only
def test_group_without_user_is_warned(asgid):
    a = asgid(conf=LISTEN + 'group = "daemon";').serving()
    assert a.log.count("WARNING:  group: without user the application runs "
                       "as root") == 1
    assert "set user" not in a.log
    a.signal(signal.SIGTERM)
    assert a.wait() == 0
