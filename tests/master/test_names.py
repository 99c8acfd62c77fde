# SPDX-License-Identifier: BSD-3-Clause
"""Names of hosts and users, when nobody answers who is asked for them."""
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess

import pytest

from conftest import DEADLINE, all_pids, poll, root_only, stat_of

pytestmark = root_only

NSSWITCH = "passwd: files\ngroup: files\nhosts: dns\n"
MOUNTS = ("for f in resolv.conf nsswitch.conf passwd; do"
          " mount --bind $0/$f /etc/$f || exit 99; done; exec \"$@\"")
LISTEN = '{ address = "127.0.0.1:0"; }'


class Resolver:
    """A name server on an address of its own, which answers when the test
    says so; and a view of /etc for asgid, in which it is the only one."""

    def __init__(self, tmp):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(DEADLINE)
        self.etc = tmp / "etc"
        self.etc.mkdir()
        where = "127.%d.%d.53" % (random.randrange(1, 255),
                                  random.randrange(1, 255))
        self.sock.bind((where, 53))
        for name, text in (
                ("resolv.conf", "nameserver %s\noptions timeout:30\n" % where),
                ("nsswitch.conf", NSSWITCH),
                ("passwd", pathlib.Path("/etc/passwd").read_text())):
            (self.etc / name).write_text(text)
        self.wrapper = ["unshare", "--mount", "--propagation", "private",
                        "sh", "-c", MOUNTS, str(self.etc)]

    def question(self):
        """Wait for one."""
        return self.sock.recvfrom(512)

    def answer(self, question):
        """127.0.0.1 for A, nothing for AAAA."""
        data, sender = question
        end = data.index(b"\0", 12) + 5
        is_a = data[end - 4:end - 2] == b"\0\1"
        answer = (b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if is_a else b"")
        self.sock.sendto(data[:2] + b"\x81\x80" + struct.pack(
            "!HHHH", 1, is_a, 0, 0) + data[12:end] + answer, sender)

    def answer_all(self, question, until):
        self.answer(question)
        self.sock.settimeout(0.05)
        while not until():
            try:
                self.answer(self.question())
            except TimeoutError:
                pass


@pytest.fixture
def resolver(tmp):
    r = Resolver(tmp)
    if subprocess.run([*r.wrapper, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    yield r
    r.sock.close()


@pytest.fixture
def site(asgid, tmp, resolver):
    """asgid, how to write its configuration, and to talk to it."""
    class Site:
        control = tmp / "control"

        def text(self, *listen, more=""):
            return 'listen = (%s); control = { socket = "%s"; };\n%s\n' % (
                ", ".join(listen or [LISTEN]), self.control, more)

        def start(self, *listen, **kw):
            self.asgid = asgid(conf=self.text(*listen), wrapper=(
                resolver.wrapper), **kw)
            return self.asgid

        def write(self, *listen, more=""):
            (tmp / ("asgid.%s.conf" % self.asgid.id)).write_text(
                'app = "x:y";\n' + self.text(*listen, more=more))

        def say(self, line):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(DEADLINE)
            s.connect(str(self.control))
            s.sendall(line + b"\n")
            return s

        def ask(self, line):
            with self.say(line) as s:
                return s.makefile().read(4)

        def helper(self):
            """The process that looks names up."""
            for pid in all_pids():
                try:
                    cmd = pathlib.Path("/proc/%d/cmdline" % pid).read_bytes()
                except OSError:
                    continue
                if ((stat_of(pid) or (0, 0))[1] == self.asgid.pid and
                        b"worker" not in cmd):
                    return pid
            return None

    return Site()


def slow(port):
    return '{ address = "slow.test:%d"; }' % port


def test_reload_that_waits_for_a_name(site, resolver, port):
    a = site.start().serving()
    site.write(LISTEN, slow(port))
    with site.say(b"reload") as reload:
        question = resolver.question()
        # the master has time for everything else
        assert site.ask(b"status") == "200 "
        assert site.ask(b"reload") == "409 "
        assert a.ask() == a.worker()
        helper = site.helper()
        status = pathlib.Path("/proc/%d/status" % helper).read_text()
        for line in ("Uid:" + 4 * "\t65534", "Gid:" + 4 * "\t65534",
                     "Groups:\t ", "CapEff:\t0000000000000000"):
            assert line in status, status
        fds = [os.readlink("/proc/%d/fd/%s" % (helper, fd))
               for fd in os.listdir("/proc/%d/fd" % helper)]
        assert fds.count("/dev/null") == 3
        others = [fd.split(":")[0] for fd in fds if fd != "/dev/null"]
        assert sorted(others) == ["pipe", "socket"], fds
        resolver.answer_all(question, lambda: "Reloaded" in a.log)
        assert reload.makefile().read(4) == "200 "
    assert a.ask(("127.0.0.1", port))
    a.stop()


def test_reload_waits_only_for_so_long(site, resolver, port):
    a = site.start().serving()
    site.write(LISTEN, slow(port), more='timeouts = { startup = "50ms"; };')
    with site.say(b"reload") as reload:
        assert reload.makefile().read(4) == "500 "
    assert "users, groups or hosts are not known after 50ms" in a.log
    assert "Reload failed, nothing was changed" in a.log
    poll(lambda: not site.helper(), "it is gone")
    site.write()
    assert site.ask(b"reload") == "200 "
    a.stop()


def test_name_that_does_not_exist(site, resolver, port):
    a = site.start().serving()
    site.write(LISTEN, slow(port))
    with site.say(b"reload") as reload:
        data, sender = resolver.question()
        resolver.sock.settimeout(0.05)
        while "Reload failed" not in a.log:
            resolver.sock.sendto(data[:2] + b"\x81\x83" + data[4:6] +
                                 bytes(6) + data[12:], sender)
            try:
                data, sender = resolver.question()
            except TimeoutError:
                pass
        assert reload.makefile().read(4) == "500 "
    assert re.search(r"listen slow.test:%d: .*[Nn]ame" % port, a.log)
    a.stop()


def test_check_that_waits_for_a_name(site, resolver, port):
    a = site.start().serving()
    site.write(LISTEN, slow(port))
    with site.say(b"check") as check, site.say(b"check") as gone:
        first, second = resolver.question(), resolver.question()
        assert site.ask(b"status") == "200 "
        gone.close()
        resolver.answer_all(first, lambda: resolver.answer(second) or
                            not site.helper())
        assert check.makefile().read(4) == "200 "
    a.stop()


def test_stop_while_a_name_is_waited_for(site, resolver, port):
    a = site.start().serving()
    site.write(LISTEN, slow(port))
    with site.say(b"reload") as reload:
        resolver.question()
        a.stop()
        assert reload.makefile().read(4) == "503 "


def test_user_that_nobody_tells_of(site, tmp):
    a = site.start().serving()
    site.write(more='user = "nobody";')
    fifo = tmp / "fifo"
    os.mkfifo(fifo)
    fifo.chmod(0o644)
    inside = ["nsenter", "-t", str(a.pid), "-m"]
    subprocess.run([*inside, "mount", "--bind", str(fifo), "/etc/passwd"],
                   check=True)
    with site.say(b"reload") as reload:
        poll(site.helper, "somebody asks")
        assert site.ask(b"status") == "200 "
        assert site.ask(b"reload") == "409 "
        # whoever opens it for reading goes on, but it is no database
        os.close(os.open(fifo, os.O_WRONLY))
        assert reload.makefile().read(4) == "422 "
    assert "no such user: nobody" in a.log
    subprocess.run([*inside, "umount", "/etc/passwd"], check=True)
    a.behave("report")
    assert site.ask(b"reload") == "200 "
    a.wait_log(r"fake: Uid:\t65534")
    a.stop()


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT,
                                   signal.SIGQUIT])
def test_start_that_waits_for_a_name_can_be_ended(site, resolver, port, signo):
    a = site.start(slow(port))
    resolver.question()
    a.signal(signo)
    assert a.wait() == -signo


def test_start_of_process_1_can_be_ended(site, resolver, port):
    """The kernel spares that one what it does not catch."""
    resolver.wrapper = ["unshare", "--pid", "--fork", *resolver.wrapper]
    a = site.start(slow(port))
    resolver.question()
    first, = a.workers()
    os.kill(first, signal.SIGTERM)
    assert a.wait() == 128 + signal.SIGTERM


def test_signals_while_a_start_waits_for_a_name(site, resolver, port):
    """They are heard afterwards."""
    a = site.start(slow(port))
    question = resolver.question()
    for signo in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
                  signal.SIGALRM):
        a.signal(signo)
    resolver.answer_all(question, lambda: "Log files reopened" in a.log)
    a.wait_log("Received SIGHUP")
    a.wait_log("SIGUSR2, which means nothing")
    a.wait_log("SIGALRM, which means nothing")
    a.serving()
    a.stop()
