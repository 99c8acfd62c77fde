# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel tells of processes and their sockets."""
import contextlib
import os
import re


def stat_of(pid):
    """(ppid, session) or None."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            rest = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    if rest[0] in "ZX":
        return None
    return int(rest[1]), int(rest[3])


def all_pids():
    return [int(n) for n in os.listdir("/proc") if n.isdigit()]


def children(pid):
    found = []
    for p in all_pids():
        st = stat_of(p)
        if st and st[0] == pid:
            found.append(p)
    return sorted(found)


def descriptors(pid):
    """{number: what it is}"""
    out = {}
    with contextlib.suppress(OSError):
        for n in os.listdir("/proc/%d/fd" % pid):
            with contextlib.suppress(OSError):
                out[int(n)] = os.readlink("/proc/%d/fd/%s" % (pid, n))
    return out


def rss(pid):
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu(pid):
    """Seconds of processor time, user and system."""
    with open("/proc/%d/stat" % pid) as f:
        w = f.read().rpartition(")")[2].split()
    return (int(w[11]) + int(w[12])) / os.sysconf("SC_CLK_TCK")


def listening_inodes():
    """{inode: port} of TCP sockets."""
    found = {}
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            with open("/proc/net/" + name) as f:
                for line in f.readlines()[1:]:
                    w = line.split()
                    if w[3] == "0A":
                        found[w[9]] = int(w[1].rpartition(":")[2], 16)
    return found


def listeners(pid):
    """Its descriptors that are listening sockets."""
    ours = {"socket:[%s]" % i for i in listening_inodes()}
    with open("/proc/net/unix", errors="replace") as f:
        for line in f.readlines()[1:]:
            w = line.split()
            if w[3] == "00010000":
                ours.add("socket:[%s]" % w[6])
    return [fd for fd, v in descriptors(pid).items() if v in ours]


def accepts(pid):
    """Does it wait for connections?"""
    watched = set()
    for fd, what in descriptors(pid).items():
        if what == "anon_inode:[eventpoll]":
            with contextlib.suppress(OSError):
                with open("/proc/%d/fdinfo/%d" % (pid, fd)) as f:
                    watched |= {int(n) for n in re.findall(r"tfd: +(\d+)",
                                                           f.read())}
    return bool(set(listeners(pid)) & watched)
