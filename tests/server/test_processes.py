# SPDX-License-Identifier: BSD-3-Clause
"""Signals, exit statuses, workers that die, listeners of every kind."""
import ast
import contextlib
import os
import pwd
import re
import resource
import signal
import socket
import stat
import sys
import threading
import time

import pytest

from harness import (APPS, DEADLINE, SCALE, Closed, Connection, Late,
                     Truncated, application, frozen, get, poll, program, run)
from procfs import children, listeners, stat_of

SHUTDOWN = ("[Cc]ancel", "[Gg]raceful", "forc", "deadline", "still running")


# what ends in time ends for another reason
FOREVER = "-o", "timeouts.graceful=10m"


def stop_begins(d):
    d.signal(signal.SIGTERM)
    poll(lambda: not listeners(d.worker), "draining")


def in_flight(d, target="/gated", method="GET"):
    c = d.connect()
    c.send(get(target, method=method))
    poll(lambda: "in" in d.get("/journal").text, "not begun")
    return c


# ---- stopping

@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_stop(asgid, signo):
    d = asgid("processes")
    assert d.get("/pid").text == str(d.worker)
    idle = d.connect()
    assert idle.request("GET", "/pid").status == 200
    silent = d.connect()
    d.signal(signo)
    assert d.wait() == 0
    assert idle.closed() and silent.closed()
    with pytest.raises(ConnectionRefusedError):
        d.connect()


def test_stop_from_a_terminal(asgid):
    """Ctrl-C reaches the whole process group."""
    d = asgid("processes")
    os.killpg(d.pid, signal.SIGINT)
    assert d.wait() == 0


def test_stop_waits_for_requests(asgid):
    d = asgid("processes", *FOREVER)
    c = in_flight(d, "/until/told")
    stop_begins(d)
    (d.dir / "told").touch()
    r = c.response()
    assert r.body == b"until"
    assert r.tokens("connection") == ["close"]
    assert c.closed()
    assert d.wait() == 0


def test_stop_refuses_new_connections(asgid):
    d = asgid("processes", *FOREVER)
    c = in_flight(d, "/until/told")

    def refused():
        try:
            d.connect().close()
        except ConnectionRefusedError:
            return True
    d.signal(signal.SIGTERM)
    poll(refused, "still accepting")
    assert c.quiet(0)
    (d.dir / "told").touch()
    assert c.response().body == b"until"
    assert d.wait() == 0


def test_stop_serves_what_was_sent(asgid):
    """Pipelined behind the one in flight: answered or closed, not lost in
    the middle."""
    d = asgid("processes", *FOREVER)
    c = in_flight(d, "/until/told")
    c.send(get("/pid"))
    stop_begins(d)
    (d.dir / "told").touch()
    assert c.response().body == b"until"
    try:
        assert c.response().status == 200
    except Closed:
        pass
    assert d.wait() == 0


def test_graceful_deadline(asgid):
    """Cancelled at the end of the time: 503 if nothing was sent."""
    d = asgid("processes", "-o", "timeouts.graceful=300ms")
    d.allow(*SHUTDOWN)
    c = in_flight(d)
    start = time.monotonic()
    d.signal(signal.SIGTERM)
    assert c.response().status == 503
    assert d.wait() == 0
    assert time.monotonic() - start > 0.25


def test_graceful_deadline_of_a_stream(asgid):
    d = asgid("processes", "-o", "timeouts.graceful=300ms")
    d.allow(*SHUTDOWN)
    c = d.connect()
    c.send(get("/stream"))
    c.until(lambda b: b"tick" in b)
    d.signal(signal.SIGTERM)
    with pytest.raises(Truncated):
        c.response()
    assert d.wait() == 0


def test_graceful_deadline_of_the_stubborn(asgid):
    """Who swallows the cancellation does not keep the daemon alive."""
    d = asgid("processes", "-o", "timeouts.graceful=200ms", "-o",
              "timeouts.shutdown=300ms")
    d.allow("")
    d.check_status = False
    in_flight(d, "/stubborn")
    d.signal(signal.SIGTERM)
    d.wait()


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_forces(asgid, signo):
    d = asgid("processes", *FOREVER)
    d.allow(*SHUTDOWN)
    d.check_status = False
    c = in_flight(d)
    d.signal(signo)
    d.wait_log("Received SIG")
    assert c.quiet(0.1)
    d.signal(signo)
    d.wait()


def test_quit_is_at_once(asgid):
    d = asgid("processes", *FOREVER)
    d.allow(*SHUTDOWN)
    in_flight(d)
    d.signal(signal.SIGQUIT)
    assert d.wait() == 0


def test_stop_is_quick(asgid):
    """One that always waits for something is never quick."""
    def stop():
        d = asgid("processes")
        d.get("/pid")
        start = time.monotonic()
        d.signal(signal.SIGTERM)
        assert d.wait() == 0
        return time.monotonic() - start < 0.5 * SCALE
    poll(stop, "never quick", 2 * DEADLINE)


# ---- exit statuses of the start

@pytest.mark.parametrize("args,status,words", [
    (["--nonsense"], 2, "--nonsense"),
    (["--port", "many", "hello:app"], 2, "many"),
    (["--port", "70000", "hello:app"], 2, "70000"),
    (["--log-level", "loud", "hello:app"], 2, "loud"),
    (["-o", "timeouts.haeder=1s", "hello:app"], 2, "timeouts.header"),
    (["nothing_here:app"], 3, "nothing_here"),
    (["hello:nothing"], 3, "nothing"),
    (["hello"], (2, 3), "hello"),
    ([":app"], (2, 3), ":app"),
    (["hello:"], (2, 3), "hello:"),
    (["misc:number"], 3, "callable"),
    (["broken_import:app"], 3, "a_module_that_does_not_exist_anywhere"),
    (["broken_syntax:app"], 3, "SyntaxError"),
    (["--factory", "misc:bad_factory"], 3, "factory fails"),
    (["-c", "/nonexistent/asgid.conf"], 6, "/nonexistent/asgid.conf"),
])
def test_start_fails(args, status, words):
    got, out, err = run(*args, "--app-dir", APPS,
                        *([] if "--port" in args else ["--port", "0"]))
    assert got in (status if isinstance(status, tuple) else (status,)), err
    assert words in err, err
    assert "running on" not in err


@pytest.mark.parametrize("text,words", [
    ('app = "hello:app"; prot = 1;', "prot"),
    ('app = "hello:app"; timeouts = { header = "soon"; };', "soon"),
    ('app = "hello:app"; listen = ( { address = "nonsense"; } );',
     "nonsense"),
    ('app = "hello:app', ""),
])
def test_bad_configuration(tmp_path, text, words):
    path = tmp_path / "a.conf"
    path.write_text(text)
    status, out, err = run("-c", path)
    assert status == 6, err
    assert str(path) + ":1" in err and words in err


def test_traceback_of_an_import_error():
    status, out, err = run("broken_import:app", "--app-dir", APPS,
                           "--port", "0")
    assert status == 3
    assert "Traceback" in err and "broken_import.py" in err
    # two workers say it too, and once is enough for the master
    status, out, err = run("broken_import:app", "--app-dir", APPS,
                           "--port", "0", "--workers", "2")
    assert status == 3


def test_port_is_taken(asgid):
    d = asgid("hello")
    status, out, err = run("hello:app", "--app-dir", APPS, "--host",
                           "127.0.0.1", "--port", d.port)
    assert status == 1
    assert "127.0.0.1:%d" % d.port in err and "in use" in err
    assert d.get("/").status == 200


def test_version_and_help():
    status, out, err = run("--version")
    assert status == 0 and "asgid" in out and "libmicrohttpd" in out \
        and "ython" in out
    status, out, err = run("--help")
    assert status == 0 and "--port" in out


# ---- workers

def pids(d, n=60):
    found = set()
    for _ in range(n):
        found.add(int(d.get("/pid").text))
    return found


def test_several_workers(asgid):
    d = asgid("processes", "--workers", "3")
    workers = set(d.workers())
    assert len(workers) == 3
    seen = set()

    def spread():
        """The first one serves while the others still start."""
        conns = [d.connect() for _ in range(60)]
        for c in conns:
            c.send(get("/pid"))
        for c in conns:
            seen.add(int(c.response().text))
            c.close()
        return len(seen) >= 2
    poll(spread, "one worker serves all")
    assert seen <= workers
    assert len([x for x in d.log if "running on" in x]) == 1


def test_worker_killed_under_load(asgid):
    """kill -9 of one of two: the other goes on, it is replaced."""
    d = asgid("processes", "--workers", "2")
    workers = d.workers()
    d.expect("%d" % workers[0])
    stop = threading.Event()
    ok, bad = [], []

    def load():
        while not stop.is_set():
            try:
                with Connection((d.host, d.port)) as c:
                    assert c.request("GET", "/pid").status == 200
                ok.append(1)
            except Exception as e:
                bad.append(e)
    threads = [threading.Thread(target=load) for _ in range(2)]
    for t in threads:
        t.start()
    try:
        poll(lambda: len(ok) > 20, "no load")
        os.kill(workers[0], signal.SIGKILL)
        poll(lambda: len(set(d.workers()) - {workers[0]}) == 2,
             "not replaced")
        new = (set(d.workers()) - set(workers)).pop()

        def serves():
            return new in pids(d, 4)
        poll(serves, "the new one does not serve")
    finally:
        stop.set()
        for t in threads:
            t.join()
    # at most what the killed one had in its hands
    assert len(bad) <= 3, bad
    assert workers[1] in d.workers()


@pytest.mark.parametrize("how", ["crash", "exit"])
def test_only_worker_dies(asgid, how):
    d = asgid("processes")
    pid = d.worker
    c = d.connect()
    c.send(get("/" + how))
    with pytest.raises(Closed):
        c.response()
    d.expect(str(pid))
    # the listener stays: this waits in its queue
    assert int(d.get("/pid").text) != pid
    text = [t for lv, t in d.records() if str(pid) in t
            and lv in ("WARNING", "ERROR", "CRITICAL")][0]
    assert ("signal 6" in text or "ABRT" in text or "Abort" in text) \
        if how == "crash" else "5" in text


def test_master_killed(asgid):
    """No orphan."""
    d = asgid("processes", "--workers", "2")
    workers = d.workers()
    os.kill(d.pid, signal.SIGKILL)
    d.check_status = False
    d.allow("master", "channel")
    poll(lambda: not [p for p in workers if stat_of(p)], "orphans")


def of_text(asgid, folder, text, *args):
    (folder / "text.py").write_text(text)
    return asgid(None, "text:app", "--app-dir", folder, "--port", "0", *args)


# No signal ends it: the second lock of a mutex, with the interpreter's lock;
# Python's sleep(), which goes on after each.
BLOCKS = {"c": "ctypes.PyDLL(None).pthread_mutex_lock(MUTEX)",
          "python": "time.sleep(3600)"}


@pytest.mark.parametrize("how", BLOCKS)
def test_master_killed_while_its_worker_is_blocked(asgid, tmp_path, how):
    d = of_text(asgid, tmp_path, application('b""', """
    if scope["path"] == "/block":
        print("blocked", flush=True)
        %s
""" % BLOCKS[how], """
import ctypes, time
MUTEX = ctypes.create_string_buffer(64)
ctypes.CDLL(None).pthread_mutex_lock(MUTEX)
"""), "-o", "timeouts.graceful=200ms")
    d.check_status = False
    worker = d.worker
    d.connect().send(get("/block"))
    d.wait_access("^blocked$")
    os.kill(d.pid, signal.SIGKILL)
    poll(lambda: not stat_of(worker), "the worker ends")


def test_master_killed_and_its_worker_ends_in_order(asgid, tmp_path):
    """It takes longer than a blocked one might."""
    d = of_text(asgid, tmp_path, """
import asyncio, atexit

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.sleep(2.5)
        print("shut down", flush=True)
        await send({"type": "lifespan.shutdown.complete"})

atexit.register(print, "at exit", flush=True)
""", "-o", "timeouts.graceful=100ms")
    d.check_status = False
    d.allow("the master has died")
    os.kill(d.pid, signal.SIGKILL)
    d.wait_access("^shut down\n(.*\n)*at exit$")


SLOW_END = """
import atexit, os, time

def end():
    print("ending", flush=True)
    while not os.path.exists("told"):
        time.sleep(0.005)
    print("ended", flush=True)

atexit.register(end)
"""


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT,
                                   signal.SIGQUIT, signal.SIGHUP])
def test_signals_do_not_end_the_interpreters_end(asgid, tmp_path, signo):
    d = of_text(asgid, tmp_path, application('b""', "", SLOW_END))
    worker = d.worker
    d.signal(signal.SIGTERM)
    d.wait_access("^ending$")
    os.kill(worker, signo)
    (tmp_path / "told").touch()
    assert d.wait() == 0
    assert "ended" in d.access


def test_signal_to_all_processes(asgid, tmp_path):
    """As systemd and timeout(1) send it; the worker may be quicker."""
    d = of_text(asgid, tmp_path, application('b""', "", SLOW_END))
    worker = d.worker
    with frozen(d.pid):
        os.kill(worker, signal.SIGTERM)
        d.wait_access("^ending$")
        os.kill(d.pid, signal.SIGTERM)
    d.wait_log("Received SIGTERM, shutting down")
    (tmp_path / "told").touch()
    assert d.wait() == 0
    assert "ended" in d.access
    assert "Finished worker process [%d]" % worker in d.stderr


def test_master_stops_although_a_worker_is_stopped(asgid):
    d = asgid("processes", "--workers", "2", "-o", "timeouts.graceful=300ms",
              "-o", "timeouts.shutdown=300ms")
    d.allow("")
    d.check_status = False
    os.kill(d.worker, signal.SIGSTOP)
    d.signal(signal.SIGTERM)
    d.wait()


def test_worker_blocked_by_the_application(asgid):
    """The loop hangs; the stop is still bounded."""
    d = asgid("processes", "-o", "timeouts.graceful=200ms", "-o",
              "timeouts.shutdown=200ms")
    d.allow("")
    d.check_status = False
    c = d.connect()
    c.send(get("/block/600"))
    c.consumed()
    d.signal(signal.SIGTERM)
    d.wait()


def test_max_requests(asgid):
    """Workers are replaced without a failed request; the old one serves
    until the new one can."""
    d = asgid("processes", "--limit-max-requests", "50", "--workers", "2")
    seen = set()

    def several():
        with contextlib.suppress(Late), d.connect() as c:
            for _ in range(4):
                r = c.request("GET", "/pid")
                assert r.status == 200
                seen.add(int(r.text))
                if "close" in r.tokens("connection"):
                    break
        return len(seen) > 3
    poll(several, lambda: "only %r" % seen, pause=0)
    poll(lambda: len(d.workers()) == 2, "not two again")


def test_max_requests_under_load(asgid):
    d = asgid("processes", "--limit-max-requests", "100")
    bad, seen = [], set()
    end = time.monotonic() + 2 * DEADLINE

    def load():
        while len(seen) < 4 and not bad and time.monotonic() < end:
            try:
                with Connection((d.host, d.port)) as c:
                    r = c.request("GET", "/pid")
                    assert r.status == 200
                    seen.add(r.text)
            except Late:
                pass
            except BaseException as e:
                bad.append(e)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad
    assert len(seen) >= 4
    poll(lambda: len(d.workers()) == 1, "the old one does not go")


def test_max_requests_keep_alive(asgid):
    """A busy connection is told to close, and nothing of it is lost."""
    d = asgid("processes", "--limit-max-requests", "5")
    def busy():
        """The numbers that answered until it was told."""
        c, pids = d.connect(), set()
        with contextlib.suppress(Late):
            for _ in range(10000):
                r = c.request("GET", "/pid")
                assert r.status == 200
                pids.add(r.text)
                if "close" in r.tokens("connection"):
                    assert c.closed()
                    return pids
            pytest.fail("never told to close")
        return None                     # not so busy

    pids = poll(busy, "never in time")
    assert len(pids) == 1
    assert d.get("/pid").text not in pids


# ---- the process the application sees

def test_worker_environment(asgid, tmp_path):
    d = asgid("processes")
    i = ast.literal_eval(d.get("/info").text)
    assert i["path0"] == str(APPS)
    assert i["cwd"] == str(tmp_path)
    assert "ASGID_BIRTH" not in i["env"]
    assert "on stdout" in d.stdout


def test_factory(asgid):
    d = asgid("processes:factory", "--factory")
    assert d.get("/pid").status == 200


@pytest.mark.parametrize("app,args,text", [
    ("misc:instance", [], "instance"),
    ("misc:Holder.inner", [], "instance"),
    ("misc:factory", ["--factory"], "instance"),
    ("misc:Asgi2", [], "'2.0'"),
    ("misc:Asgi2", ["--interface", "asgi2"], "'2.0'"),
])
def test_shapes_of_applications(asgid, app, args, text):
    d = asgid(app, *args)
    for _ in range(2):
        assert d.get("/").text == text


# ---- listeners

def test_unix_socket(asgid, tmp_path):
    path = tmp_path / "a.sock"
    d = asgid(conf="""
        app = "processes:app";
        app_dir = "%s";
        listen = ( { unix = "%s"; mode = "0620"; } );
    """ % (APPS, path))
    st = path.stat()
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o620
    c = d.connect(address=str(path))
    i = ast.literal_eval(c.request("GET", "/info").text)
    assert i["client"] is None and i["server"] == (str(path), None)
    assert d.stop() == 0
    assert not path.exists()


def test_unix_socket_stale(asgid, tmp_path):
    path = tmp_path / "a.sock"
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    s.close()
    d = asgid("hello", "--uds", path, listen=False)
    assert d.connect(address=str(path)).request("GET", "/").status == 200


def test_unix_socket_in_use(asgid, tmp_path):
    path = tmp_path / "a.sock"
    d = asgid("hello", "--uds", path, listen=False)
    status, out, err = run("hello:app", "--app-dir", APPS, "--uds", path)
    assert status == 1 and str(path) in err
    assert d.connect(address=str(path)).request("GET", "/").status == 200


def test_unix_socket_never_takes_a_file(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    status, out, err = run("hello:app", "--app-dir", APPS, "--uds", path)
    assert status == 1 and str(path) in err
    assert path.read_text() == "data"


def test_unix_socket_removed_only_if_ours(asgid, tmp_path):
    path = tmp_path / "a.sock"
    d = asgid("hello", "--uds", path, listen=False)
    path.unlink()
    path.write_text("not yours")
    assert d.stop() == 0
    d.allow(str(path))
    assert path.read_text() == "not yours"


def test_several_listeners(asgid, tmp_path):
    path = tmp_path / "a.sock"
    d = asgid(conf="""
        app = "processes:app"; app_dir = "%s"; workers = { count = 2; };
        listen = ( { address = "127.0.0.1:0"; }, { address = "127.0.0.1:0"; },
                   { address = "[::1]:0"; }, { unix = "%s"; } );
    """ % (APPS, path))
    poll(lambda: len([x for x in d.log if "running on" in x]) == 4 or
         len(d.urls) == 4, lambda: d.stderr)
    tcp = [(m[1].strip("[]"), int(m[2])) for m in
           (re.match(r"http://(.+):(\d+)$", u) for u in d.urls) if m]
    assert len(tcp) == 3 and len(set(p for _, p in tcp)) == 3
    for address in (*tcp, str(path)):
        for _ in range(10):
            c = d.connect(address=address)
            assert c.request("GET", "/pid").status == 200
            c.close()


def test_inherited_descriptor(asgid):
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    port = s.getsockname()[1]
    d = asgid("hello", "--fd", s.fileno(), listen=False,
              pass_fds=[s.fileno()])
    c = d.connect(address=("127.0.0.1", port))
    assert c.request("GET", "/").status == 200
    s.close()


def test_socket_activation(asgid, tmp_path):
    """LISTEN_FDS, as systemd does it: descriptors from 3 on."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    port = s.getsockname()[1]
    # the script supplies its own process number, which exec keeps
    script = tmp_path / "activate"
    script.write_text(
        "#!%s\nimport os, sys\nos.dup2(%d, 3)\nos.environ.update("
        "LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
        "os.execv(%r, [%r, *sys.argv[1:]])\n" %
        (sys.executable, s.fileno(), program(), program()))
    script.chmod(0o755)
    old = os.environ.get("ASGID")
    os.environ["ASGID"] = str(script)
    try:
        d = asgid("hello", listen=False, pass_fds=[s.fileno()])
    finally:
        if old is None:
            del os.environ["ASGID"]
        else:
            os.environ["ASGID"] = old
    s.close()
    c = d.connect(address=("127.0.0.1", port))
    assert c.request("GET", "/").status == 200


def test_notify(asgid, tmp_path):
    """sd_notify: READY when serving, STOPPING when told to stop."""
    path = str(tmp_path / "notify")
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    s.settimeout(DEADLINE)
    d = asgid("hello", env={"NOTIFY_SOCKET": path})
    got = s.recv(4096).decode()
    while "READY=1" not in got:
        got += "\n" + s.recv(4096).decode()
    d.signal(signal.SIGTERM)
    while "STOPPING=1" not in got:
        got += "\n" + s.recv(4096).decode()
    d.wait()
    s.close()


def test_pid_file(asgid, tmp_path):
    path = tmp_path / "asgid.pid"
    d = asgid("hello", "-o", "pid_file=%s" % path)
    assert path.read_text().strip() == str(d.pid)
    assert d.stop() == 0
    assert not path.exists()


def test_master_has_no_python(asgid):
    d = asgid("hello")
    with open("/proc/%d/maps" % d.pid) as f:
        maps = f.read()
    assert "libpython" not in maps and "microhttpd" not in maps
    assert children(d.pid) == d.workers()


def test_privileges(asgid, tmp_path):
    if os.getuid() != 0:
        pytest.skip("not root")
    try:
        user = pwd.getpwnam("nobody")
    except KeyError:
        pytest.skip("no user nobody")
    # the application must be readable for that user
    d = asgid("processes", "--log-level", "debug", "-o", "user=nobody",
              serve=False)
    try:
        d.wait_serving()
    except AssertionError:
        # or the Python that is linked, in root's home say
        if ("ermission" in d.stderr
                or "cannot open shared object file" in d.stderr):
            d.allow("")
            d.check_status = False
            pytest.skip("the tree is not readable for nobody")
        raise
    i = ast.literal_eval(d.get("/info").text)
    assert i["uid"] == user.pw_uid
    with open("/proc/%d/status" % d.worker) as f:
        status = f.read()
    assert "Uid:\t%d\t%d\t%d\t%d" % ((user.pw_uid,) * 4) in status
    assert "CapEff:\t0000000000000000" in status


def test_full_table_of_descriptors_is_told_once(asgid):
    d = asgid("processes")
    d.expect(r"\Aaccept: Too many open files\Z")
    worker = d.worker
    hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, hard))
    c = d.connect()
    c.send(get("/pid"))
    d.wait_log("accept: Too many open files")
    time.sleep(0.5)             # for some more tries
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (hard, hard))
    assert c.response().text == str(worker)
    assert d.stderr.count("accept:") == 1
