# SPDX-License-Identifier: BSD-3-Clause
"""Where logs may be, and who may decide that: the master opens them as root,
their folders may belong to the user that the workers run as."""
import ctypes
import os
import pwd
import shutil
import signal
import stat
import struct

import pytest

from conftest import poll, root_only

LISTEN = 'listen = ({ address = "127.0.0.1:0"; });\n'
NOBODY = 'user = "nobody";\n'
OPTIONS = ["access", "error"]
CAN_WRITE = "the user that the workers run as can write to the directory "


def conf(option, path, more=""):
    return LISTEN + 'log = { %s = "%s"; };\n' % (option, path) + more


def nobodys(path, mode=0o755):
    """A folder of the workers' user."""
    path.mkdir()
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    return path


def refused(a, option, path, why):
    """The start is, at once; the reason says what to do."""
    assert a.wait() == 1
    assert "log.%s: %s: %s" % (option, path, why) in a.log
    assert "Started worker" not in a.log


# ---- what is not a file ----------------------------------------------------

@pytest.mark.parametrize("reader", [False, True])
@pytest.mark.parametrize("option", OPTIONS)
def test_fifo(asgid, tmp, option, reader):
    """Opening one would wait for its reader, for ever."""
    path = tmp / "log"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if reader else -1
    a = asgid(conf=conf(option, path))
    refused(a, option, path, "neither a regular file nor a device")
    if reader:
        os.close(fd)


@pytest.mark.parametrize("option", OPTIONS)
def test_fifo_in_the_place_of_a_log(asgid, tmp, option):
    path = tmp / "log"
    a = asgid(conf=conf(option, path))
    said = (lambda: path.read_text()) if option == "error" else \
        lambda: a.log
    poll(lambda: path.exists() and "fake: go" in said(), "serving")
    moved = path.rename(tmp / "log.1")
    os.mkfifo(path)
    a.signal(signal.SIGUSR1)
    poll(lambda: "log.%s: %s: neither a regular file" % (option, path) in
         (moved.read_text() if option == "error" else a.log), "the reason")
    # and goes on as before
    a.signal(signal.SIGTERM)
    assert a.wait() == 0


@pytest.mark.parametrize("option", OPTIONS)
def test_folder(asgid, tmp, option):
    refused(asgid(conf=conf(option, tmp)), option, tmp, "Is a directory")


@pytest.mark.parametrize("user", [pytest.param(NOBODY, marks=root_only), ""])
@pytest.mark.parametrize("path", ["/dev/null", "/dev/stdout", "/dev/stderr",
                                  "/proc/self/fd/2"])
@pytest.mark.parametrize("option", OPTIONS)
def test_device(asgid, option, path, user):
    """As containers have them, whatever is behind them."""
    read, write = os.pipe()
    a = asgid(conf=conf(option, path, user), stdout=write)
    os.close(write)
    if (option, path) == ("error", "/dev/stdout"):
        out = b""
        while b"fake: go" not in out:
            out += os.read(read, 65536)
    elif (option, path) == ("error", "/dev/null"):
        poll(lambda: a.workers(), "a worker")
    else:
        a.wait_log(r"fake: go$")
    a.signal(signal.SIGUSR1)
    a.signal(signal.SIGTERM)
    assert a.wait() == 0
    os.close(read)


# ---- whose folders ---------------------------------------------------------

@root_only
@pytest.mark.parametrize("option", OPTIONS)
def test_link_in_the_workers_folder(asgid, tmp, option):
    """The file that root would have appended to stays as it is."""
    folder, target = nobodys(tmp / "log"), tmp / "authorized_keys"
    target.write_text("key\n")
    path = folder / "log"
    path.symlink_to(target)
    a = asgid(conf=conf(option, path, NOBODY))
    assert a.wait() == 1
    assert "log.%s: %s: a symbolic link" % (option, path) in a.log
    assert target.read_text() == "key\n"


@root_only
@pytest.mark.parametrize("option", OPTIONS)
def test_linked_folder(asgid, tmp, option):
    """A folder's name that the workers' user leads elsewhere."""
    folder, target = nobodys(tmp / "srv"), tmp / "ssh"
    target.mkdir()
    path = folder / "log" / "authorized_keys"
    (folder / "log").symlink_to(target)
    a = asgid(conf=conf(option, path, NOBODY))
    refused(a, option, path, CAN_WRITE + str(folder))
    assert not list(target.iterdir())


@root_only
@pytest.mark.parametrize("mode, group", [
    (0o755, None), (0o555, None), (0o775, "nogroup"), (0o757, "root")])
def test_folder_that_the_workers_can_write_to(asgid, tmp, mode, group):
    """By being its owner, of its group, or anybody."""
    folder = tmp / "log"
    if group is None:
        nobodys(folder, mode)
    else:
        folder.mkdir()
        os.chown(folder, 0, -1)
        folder.chmod(mode)
        shutil.chown(folder, group=group)
    a = asgid(conf=conf("access", folder / "x", NOBODY +
                        'group = "nogroup";'))
    refused(a, "access", folder / "x", CAN_WRITE + str(folder))
    assert "chown root" in a.log and not (folder / "x").exists()


@root_only
def test_folder_with_an_access_list(asgid, tmp):
    """The mode does not tell whom it lets write."""
    folder = tmp / "log"
    folder.mkdir()
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, 7, who) for tag, who in (
            (1, 2**32 - 1), (2, 65534), (4, 2**32 - 1), (16, 2**32 - 1),
            (32, 2**32 - 1)))
    try:
        os.setxattr(folder, "system.posix_acl_access", acl)
    except OSError:
        return                  # there are none here
    folder.chmod(0o775)
    a = asgid(conf=conf("access", folder / "x", NOBODY))
    refused(a, "access", folder / "x", CAN_WRITE + str(folder))


@root_only
def test_folder_of_others(asgid, tmp):
    """Also that of a group that the workers are not in (/var/log), and links
    that root has put (/var/run)."""
    folder, path = tmp / "log", tmp / "link" / "x"
    folder.mkdir()
    os.chown(folder, 0, 4)
    folder.chmod(0o775)
    (tmp / "link").symlink_to("log/../log/")
    a = asgid(conf=conf("access", path, NOBODY)).serving()
    assert stat.S_IMODE((folder / "x").stat().st_mode) == 0o640
    a.stop()


@root_only
def test_sticky_folder(asgid, tmp):
    """What root makes there is not to be replaced by others; what they have
    made is not to be used."""
    folder = tmp / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "log").mkdir()
    for path in (folder / "x", folder / "log" / "x"):
        a = asgid(conf=conf("access", path, NOBODY)).serving()
        a.stop()
    os.chown(folder / "x", pwd.getpwnam("nobody").pw_uid, -1)
    a = asgid(conf=conf("access", folder / "x", NOBODY))
    refused(a, "access", folder / "x", CAN_WRITE + str(folder))
    os.link(tmp / ("words.%s" % a.id), folder / "y")
    a = asgid(conf=conf("access", folder / "y", NOBODY))
    refused(a, "access", folder / "y", "the file has a second name")


@root_only
def test_link_in_the_place_of_a_log(asgid, tmp):
    path, target = tmp / "log", tmp / "authorized_keys"
    target.write_text("key\n")
    a = asgid(conf=conf("access", path, NOBODY)).serving()
    path.unlink()
    path.symlink_to(target)
    a.signal(signal.SIGUSR1)
    a.wait_log("ERROR: .*log.access: %s: a symbolic link" % path)
    a.stop()
    assert target.read_text() == "key\n"


@root_only
@pytest.mark.parametrize("option", OPTIONS)
def test_reload_gives_the_folder_to_the_workers(asgid, tmp, option):
    """Another user may be one who can write to it."""
    folder = nobodys(tmp / "log")
    path = folder / "x"
    a = asgid(conf=conf(option, path, 'user = "daemon";'))
    said = (lambda: path.exists() and path.read_text()) \
        if option == "error" else lambda: a.log
    poll(lambda: "fake: go" in (said() or ""), "serving")
    (tmp / ("asgid.%s.conf" % a.id)).write_text(
        'app = "x:y";\n' + conf(option, path, NOBODY))
    a.signal(signal.SIGHUP)
    poll(lambda: "Reload failed, nothing was changed" in said(), said)
    assert CAN_WRITE in said()
    a.signal()
    assert a.wait() == 0


def test_links_of_an_ordinary_user(asgid, tmp):
    """There is nobody to be guarded against: paths mean what they always
    mean. Also for root, as long as the workers are root too."""
    folder, target = tmp / "log", tmp / "target"
    folder.mkdir()
    (folder / "x").symlink_to(target)
    a = asgid(conf=conf("access", folder / "x")).serving()
    a.stop()
    assert target.exists()


# ---- what workers get ------------------------------------------------------

def kernel_can_forbid_truncating():
    """Landlock, since its third version: landlock_create_ruleset(2)."""
    return ctypes.CDLL(None).syscall(444, None, 0, 1) >= 3


def test_workers_cannot_truncate(asgid, tmp):
    path = tmp / "access"
    path.write_text("what was done\n")
    a = asgid(conf=conf("access", path), fake="truncate").serving()
    a.wait_log("fake: truncate: ")
    if kernel_can_forbid_truncating():
        assert "fake: truncate: Permission denied" in a.log
        assert path.read_text().startswith("what was done\n")
    # nor what is opened later
    path.rename(tmp / "access.1")
    a.signal(signal.SIGUSR1)
    a.wait_log("fake: reopened")
    a.behave("truncate")
    os.kill(a.worker(), signal.SIGKILL)
    a.wait_log("fake: truncate: ", 2)
    if kernel_can_forbid_truncating():
        assert a.log.count("fake: truncate: Permission denied") == 2
    a.stop()


def test_workers_cannot_make_the_master_wait(asgid):
    """What is non-blocking is so for all who share it."""
    reader, writer = os.pipe()
    a = asgid(fake="block", stderr=writer)
    os.close(writer)
    with open(reader) as log:
        while "fake: go" not in log.readline():
            pass
        pipe = os.readlink("/proc/self/fd/%d" % reader)
        fds = [fd for fd in os.listdir("/proc/%d/fd" % a.pid) if int(fd) > 2
               and os.readlink("/proc/%d/fd/%s" % (a.pid, fd)) == pipe]
        assert fds
        for fd in fds:
            with open("/proc/%d/fdinfo/%s" % (a.pid, fd)) as f:
                assert int(f.read().split()[3], 8) & os.O_NONBLOCK
        a.stop()
