# SPDX-License-Identifier: BSD-3-Clause
"""What the scripts of this folder share: starting a server, pinned to a
core, and reading from /proc what its processes use."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
APPS = os.path.join(HERE, "apps")
TICK = os.sysconf("SC_CLK_TCK")

# where asgid and bare_mhd were built
BUILD = os.environ.get("ASGID_BUILDDIR", os.getcwd())
# the interpreter this runs with is the peers' too: see venv in README
PYTHON = sys.executable
VENV = sys.prefix if sys.prefix != sys.base_prefix else ""


def asgid(app, port, *options):
    return [os.path.join(BUILD, "src", "asgid"), app, "--app-dir", APPS,
            "--host", "127.0.0.1", "--port", str(port), "--no-access-log",
            "--log-level", "warning", "-o", "python.venv=" + VENV,
            "-o", "control.socket=", *options]


def asgictl(path, *words):
    """The operator's tool, at the control socket there."""
    return [os.path.join(BUILD, "src", "asgictl", "asgictl"), "-s", path,
            *words]


def uvicorn(app, port, *options):
    return [PYTHON, "-m", "uvicorn", app, "--app-dir", APPS,
            "--host", "127.0.0.1", "--port", str(port), "--no-access-log",
            "--log-level", "warning", "--loop", "uvloop",
            "--http", "httptools", *options]


def granian(app, port):
    return [PYTHON, "-m", "granian", app, "--working-dir", APPS,
            "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port),
            "--workers", "1", "--runtime-threads", "1", "--http", "1",
            "--no-ws", "--loop", "uvloop", "--no-access-log",
            "--log-level", "warning"]


def fastpysgi(app, port):
    return [PYTHON, os.path.join(APPS, "serve_fastpysgi.py"), app, str(port)]


def bare(app, port):
    if not app.endswith(":hello"):
        return None
    return [os.path.join(BUILD, "tests", "bench", "bare_mhd"), str(port)]


SERVERS = {"asgid": asgid, "uvicorn": uvicorn, "fastpysgi": fastpysgi,
           "granian": granian, "bare-mhd": bare}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"waited {seconds} s for {what}")
        time.sleep(0.01)


def tree(pid):
    """A process and all its descendants."""
    pids = [pid]
    for p in pids:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/children") as f:
                    pids += [int(c) for c in f.read().split()]
    return pids


def cpu(pid):
    """User and system seconds of a process tree, the dead that were waited
    for included."""
    user = system = 0
    for p in tree(pid):
        with contextlib.suppress(OSError), open(f"/proc/{p}/stat") as f:
            times = f.read().rsplit(")", 1)[1].split()[11:15]
            user += int(times[0]) + int(times[2])
            system += int(times[1]) + int(times[3])
    return user / TICK, system / TICK


def rss(pid):
    """Resident bytes of one process."""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024


def rss_tree(pid):
    total = 0
    for p in tree(pid):
        with contextlib.suppress(OSError, TypeError):
            total += rss(p)
    return total


def descriptors(pid):
    """What stays: the least of some looks, for the end of a connection or of
    a worker may be under way."""
    counts = []
    for _ in range(20):
        counts.append(len(os.listdir(f"/proc/{pid}/fd")))
        time.sleep(0.01)
    return min(counts)


def workers(server):
    """The processes that answer: children of asgid's master."""
    return tree(server.pid)[1:] or [server.pid]


def answers(port):
    """Does it answer? The answer is read to its end, for the sake of peers
    that do not survive a client that leaves, and without Connection: close,
    for the sake of one that does not survive that."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        client.request("GET", "/hello")
        client.getresponse().read()
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


@contextlib.contextmanager
def running(command, port, core=None, env=None):
    """A server, from its first answer to its end."""
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    # its own session: a Ctrl-C is for us, and we stop it in order
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                              start_new_session=True,
                              env={**os.environ, **(env or {})})
    try:
        def ready():
            if server.poll() is not None:
                sys.exit(f"{' '.join(command)}: ended with "
                         f"{server.returncode}")
            return answers(port)
        wait_for(ready, f"{' '.join(command)} to answer")
        yield server
    finally:
        pids = tree(server.pid)
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            server.wait()
