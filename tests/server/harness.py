# SPDX-License-Identifier: BSD-3-Clause
"""The whole daemon under test, and an HTTP client that forgives nothing.

Daemon starts `asgid` from the build tree ($ASGID_BUILD, else the current
directory; $ASGID names another program), waits until it serves, and on
check_and_stop() proves that nothing was left behind: log, descriptors,
processes, listeners.  Everything waits for conditions with a deadline.
"""
import contextlib
import errno
import os
import pathlib
import re
import select
import signal as signals
import socket
import struct
import subprocess
import time
import uuid

from procfs import (accepts, all_pids, children, descriptors,
                    listening_inodes, stat_of)

HERE = pathlib.Path(__file__).resolve().parent
APPS = HERE / "apps"
# sanitizers and slow machines: every deadline is multiplied by this
SCALE = float(os.environ.get("ASGID_TEST_SCALE", "1"))
# only ends what hangs: busy machines may take their time
DEADLINE = 20.0 * SCALE
# a daemon's deadlines, unless its test is about them: never in the way
PATIENT = [word for name in ("header", "body", "keep_alive", "write")
           for word in ("-o", "timeouts.%s=10m" % name)]
# A worker that stops or is replaced still serves connections which were made
# or used a moment ago (DRAIN_GRACE of src/http); well within that:
PROMPT = 0.2

LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "TRACE")
RECORD = re.compile(r"^(%s):\s+(.*)$" % "|".join(LEVELS))
# what Python itself prints when something was neglected
NEGLECT = re.compile(r"Exception ignored|was never awaited|never retrieved|"
                     r"was destroyed but it is pending|Fatal Python error|"
                     r"ResourceWarning|left over: \w+ \d+")
SANITIZER = re.compile(r"Sanitizer|runtime error:|DEADLYSIGNAL")
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


def program():
    if os.environ.get("ASGID"):
        return os.environ["ASGID"]
    build = pathlib.Path(os.environ.get("ASGID_BUILD") or os.getcwd())
    return str(build / "src" / "asgid")


def poll(condition, what, deadline=None, pause=0.002):
    """Wait until condition() is true; return its value."""
    end = time.monotonic() + (DEADLINE if deadline is None else deadline)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("timed out: %s" %
                                 (what() if callable(what) else what))
        time.sleep(pause)


# ---- the client --------------------------------------------------------

class ProtocolError(AssertionError):
    """The server sent something that is not HTTP."""


class Truncated(AssertionError):
    """The connection ended inside a response."""

    def __init__(self, message, got, head=None):
        super().__init__("%s: %r" % (message, got[:400]))
        self.got = got
        self.head = head


class Closed(AssertionError):
    """The connection ended where a response should have begun."""


class Late(Closed):
    """.. and the client had kept the server waiting for longer than PROMPT:
    nobody owes it an answer."""


class Response:
    def __init__(self, version, status, reason, headers, raw):
        self.version, self.status, self.reason = version, status, reason
        self.headers = headers          # [(name bytes, value bytes)] as sent
        self.raw = raw
        self.body = b""
        self.chunks = None              # sizes, when chunked
        self.interim = []               # 1xx answers that came before
        self.delimited = None           # "none", "length", "chunked", "close"

    def all(self, name):
        name = name.lower().encode()
        return [v.decode("latin-1") for n, v in self.headers
                if n.lower() == name]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def tokens(self, name):
        return [t.strip().lower() for v in self.all(name)
                for t in v.split(",")]

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return "<Response %d %r %r>" % (self.status, self.headers,
                                        self.body[:200])


def parse_head(raw):
    """Head without its last CRLF CRLF -> Response, or ProtocolError."""
    lines = raw.split(b"\r\n")
    m = re.fullmatch(rb"HTTP/(1\.[01]) (\d{3}) ([\x20-\x7e]*)", lines[0])
    if not m:
        raise ProtocolError("bad status line %r" % lines[0])
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name):
            raise ProtocolError("bad header line %r" % line)
        if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise ProtocolError("control character in %r" % line)
        headers.append((name, value.strip(b" \t")))
    r = Response(m[1].decode(), int(m[2]), m[3].decode(), headers, raw)
    for name in ("content-length", "date", "server", "transfer-encoding"):
        if len(r.all(name)) > 1:
            raise ProtocolError("%s twice: %r" % (name, raw))
    if r.all("content-length") and r.all("transfer-encoding"):
        raise ProtocolError("both framings: %r" % raw)
    return r


def unread(local, remote):
    """Bytes in the receive buffer of the IPv4 socket with these ends, 0 when
    there is none: sock_diag(7), which finds one socket among thousands."""
    ends = struct.pack("!HH4s12x4s12xI", local[1], remote[1],
                       socket.inet_aton(local[0]),
                       socket.inet_aton(remote[0]), 0)
    request = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0,
                          0xffffffff) + ends + b"\xff" * 8
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 4) as s:
        s.send(struct.pack("=IHHII", 16 + len(request), 20, 1, 0, 0) +
               request)
        answer = s.recv(4096)
    if struct.unpack_from("=H", answer, 4)[0] != 20:
        return 0
    # header 16, family state timer retrans 4, ends 48, expires 4
    return struct.unpack_from("=I", answer, 16 + 4 + 48 + 4)[0]


class Connection:
    """A raw socket with deadlines and a buffer of what was received."""

    def __init__(self, address, deadline=None, family=None, rcvbuf=None):
        if family is None:
            family = socket.AF_UNIX if isinstance(address, str) else (
                socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.deadline = DEADLINE if deadline is None else deadline
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(self.deadline)
        self.used = time.monotonic()    # not later than the server says
        self.late = False
        self.sock.connect(address)
        if family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local = self.sock.getsockname()
        self.peer = address
        self.buf = bytearray()
        self.eof = False
        self.reset = False

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def abort(self):
        """Close with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def shutdown(self):
        with contextlib.suppress(OSError):      # the server was quicker
            self.sock.shutdown(socket.SHUT_WR)

    def send(self, data):
        begun = time.monotonic()
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as e:
            if time.monotonic() - self.used > PROMPT:
                raise Late(str(e)) from None
            raise
        self.late = time.monotonic() - self.used > PROMPT
        self.used = begun
        return self

    def try_send(self, data):
        """As send, but a server that has already closed is no error."""
        try:
            self.sock.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def consumed(self):
        """Wait until the server has read all that was sent (TCP v4): what
        is sent next comes in a read of its own. It must, in the end."""
        poll(self.caught_up, "the server does not read")

    def caught_up(self):
        """Has it, soon? It may have good reasons to read no more."""
        end = time.monotonic() + 0.1
        while unread(self.peer, self.local):
            if time.monotonic() > end:
                return False        # it does not read any more
            time.sleep(0)
        return True

    def send_pieces(self, data, size=1):
        reads = True
        for i in range(0, len(data), size):
            if not self.try_send(data[i:i + size]):
                return False
            reads = reads and self.caught_up()
        return True

    def _fill(self, deadline=None):
        """One recv into the buffer; False at the end of the stream."""
        if self.eof:
            return False
        self.sock.settimeout(self.deadline if deadline is None else deadline)
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            self.eof = self.reset = True
            return False
        except socket.timeout:
            raise AssertionError("no answer in time; got %r" %
                                 bytes(self.buf[:400])) from None
        if not data:
            self.eof = True
        self.buf += data
        return bool(data)

    def until(self, condition, what="data"):
        """Receive until condition(buffer) is true; the buffer stays."""
        while not condition(self.buf):
            if not self._fill():
                raise Truncated("closed before " + what, bytes(self.buf))
        return bytes(self.buf)

    def take(self, n):
        self.until(lambda b: len(b) >= n, "%d bytes" % n)
        data = bytes(self.buf[:n])
        del self.buf[:n]
        return data

    def line(self):
        self.until(lambda b: b"\r\n" in b, "a line")
        n = self.buf.index(b"\r\n")
        return self.take(n + 2)[:-2]

    def all(self):
        """Everything until the server closes."""
        while self._fill():
            pass
        data = bytes(self.buf)
        self.buf.clear()
        return data

    def closed(self, deadline=None):
        """The server closes without another byte."""
        while self._fill(deadline):
            pass
        if self.buf:
            raise ProtocolError("bytes before the close: %r" %
                                bytes(self.buf[:400]))
        return True

    def quiet(self, seconds):
        """Nothing comes for so long (for what must *not* happen)."""
        if self.buf or self.eof:
            return False
        return not select.select([self.sock], [], [], seconds)[0]

    def head(self):
        while b"\r\n\r\n" not in self.buf:
            if not self._fill():
                if self.buf:
                    raise Truncated("closed in a head", bytes(self.buf))
                raise (Late if self.late else Closed)(
                    "closed without an answer%s" %
                    (" (reset)" if self.reset else ""))
        n = self.buf.index(b"\r\n\r\n")
        return parse_head(self.take(n + 4)[:-4])

    def chunk(self):
        """One chunk of a chunked body; b"" for the last."""
        line = self.line()
        if not re.fullmatch(rb"[0-9a-fA-F]+", line):
            raise ProtocolError("bad chunk line %r" % line)
        size = int(line, 16)
        if size == 0:
            if self.line() != b"":
                raise ProtocolError("unexpected trailers")
            return b""
        data = self.take(size)
        if self.take(2) != b"\r\n":
            raise ProtocolError("chunk without its CRLF")
        return data

    def response(self, method="GET"):
        interim = []
        while True:
            r = self.head()
            if r.status >= 200 or r.status == 101:
                break
            if r.all("content-length") or r.all("transfer-encoding"):
                raise ProtocolError("framing in a 1xx: %r" % r.raw)
            interim.append(r)
        r.interim = interim
        try:
            self._body(r, method)
        except Truncated as e:
            e.head = r
            raise
        return r

    def _body(self, r, method):
        te = r.get("transfer-encoding")
        cl = r.get("content-length")
        if r.status in (101, 204) and (te or cl):
            raise ProtocolError("framing in a %d: %r" % (r.status, r.raw))
        if method == "HEAD" or r.status in (101, 204, 304):
            r.delimited = "none"
        elif te is not None:
            if te.lower() != "chunked":
                raise ProtocolError("transfer-encoding %r" % te)
            r.delimited = "chunked"
            r.chunks = []
            parts = []
            try:
                while True:
                    data = self.chunk()
                    if not data:
                        break
                    r.chunks.append(len(data))
                    parts.append(data)
            except Truncated as e:
                e.got = b"".join(parts) + e.got
                raise
            finally:
                r.body = b"".join(parts)
        elif cl is not None:
            if not re.fullmatch(r"\d+", cl):
                raise ProtocolError("content-length %r" % cl)
            r.delimited = "length"
            r.body = self.take(int(cl))
        else:
            r.delimited = "close"
            if self.keeps_alive_by(r):
                raise ProtocolError("no framing, but keep-alive: %r" % r.raw)
            r.body = self.all()
            if self.reset:
                raise Truncated("reset in the body", r.body)

    @staticmethod
    def keeps_alive_by(r):
        return "keep-alive" in r.tokens("connection")

    def request(self, method="GET", target="/", headers=(), body=None,
                version="1.1"):
        lines = ["%s %s HTTP/%s" % (method, target, version)]
        if not any(n.lower() == "host" for n, _ in headers):
            lines.append("Host: t")
        lines += ["%s: %s" % h for h in headers]
        if body is not None:
            lines.append("Content-Length: %d" % len(body))
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" +
                  (body or b""))
        return self.response(method)


APPLICATION = '''
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            m = await receive()
            await send({"type": m["type"] + ".complete"})
            if m["type"] == "lifespan.shutdown":
                return
%s
    body = %s
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"%%d" %% len(body))]})
    await send({"type": "http.response.body", "body": body})
'''


def application(body, first="", head=""):
    """The text of a module: an application that does `first`, lines of its
    coroutine, and answers with `body`, an expression."""
    return head + APPLICATION % (first, body)


def get(target="/", *headers, version="1.1", method="GET"):
    """The bytes of a request without body."""
    return "\r\n".join(["%s %s HTTP/%s" % (method, target, version),
                        "Host: t", *headers, "", ""]).encode("latin-1")


# ---- processes ---------------------------------------------------------

@contextlib.contextmanager
def frozen(*pids):
    """They do nothing; the kernel queues. The master notices, and says so."""
    def stopped(pid):
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] == "T"

    for pid in pids:
        os.kill(pid, signals.SIGSTOP)
    poll(lambda: all(map(stopped, pids)), "stopped")
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signals.SIGCONT)


HELD = []


def own_port():
    """A port that nobody else is given, on any local address: it stays bound
    without listening, which does not hinder those with SO_REUSEADDR."""
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", 0))
    HELD.append(s)
    return s.getsockname()[1]


class Daemon:
    def __init__(self, directory, app=None, *args, conf=None, env=None,
                 serve=True, host="127.0.0.1", listen=True, level=None,
                 pythonpath=None, stdin=subprocess.DEVNULL, pass_fds=(),
                 user=None):
        self.dir = pathlib.Path(directory)
        self.id = uuid.uuid4().hex
        self.status = 0                 # the expected exit status
        self.allowed, self.expected = [], []
        if os.getuid() == 0 and user is None:
            self.allow(r"\Athe application runs as root: set user\Z")
        self.check_fds = True
        self.check_status = True
        self.conns = []
        self.baseline = {}
        self.inodes = set()
        self.urls = []
        self.host = self.port = self.unix = None
        n = 0
        while (self.dir / ("stderr%d" % n)).exists():
            n += 1
        self.errpath = self.dir / ("stderr%d" % n)
        self.outpath = self.dir / ("stdout%d" % n)

        argv = [program()]
        if "control" not in (conf or ""):   # parallel tests share no socket
            argv += ["-o", "control.socket="]
        if conf is not None:
            path = self.dir / ("asgid%d.conf" % n)
            path.write_text(conf)
            argv += ["-c", str(path)]
        if app is not None:
            argv += [app if ":" in app else app + ":app",
                     "--app-dir", str(APPS), *PATIENT]
            if listen:
                argv += ["--host", host, "--port", "0"]
        if level:
            argv += ["--log-level", level]
        argv += [str(a) for a in args]
        self.argv = argv
        environ = {k: v for k, v in os.environ.items()
                   if k not in ("JOURNAL_STREAM", "NOTIFY_SOCKET",
                                "WEB_CONCURRENCY", "PYTHONPATH")}
        environ.setdefault("ASAN_OPTIONS", "detect_leaks=0:quarantine_size_mb=1")
        environ["ASGID_TEST_ID"] = self.id
        environ["PYTHONDONTWRITEBYTECODE"] = "1"
        environ.update(env or {})
        with open(self.errpath, "wb") as err, open(self.outpath, "wb") as out:
            self.proc = subprocess.Popen(
                argv, stdin=stdin, stdout=out, stderr=err, cwd=self.dir,
                env=environ, start_new_session=True, pass_fds=pass_fds,
                user=user, group=user, extra_groups=user and [])
        self.pid = self.proc.pid
        if serve:
            self.wait_serving()

    # -- logs

    @property
    def stderr(self):
        return self.errpath.read_text(errors="surrogateescape")

    @property
    def stdout(self):
        return self.outpath.read_text(errors="surrogateescape")

    @property
    def log(self):
        return self.stderr.splitlines()

    @property
    def access(self):
        return self.stdout.splitlines()

    def records(self):
        """[(level, text)]; a traceback belongs to its first line."""
        out = []
        for line in self.stderr.split("\n"):
            m = RECORD.match(line)
            if m:
                out.append([m[1], m[2]])
            elif out:
                out[-1][1] += "\n" + line
            elif line:
                out.append(["", line])
        return [(lv, text.rstrip("\n")) for lv, text in out]

    def wait_log(self, pattern, deadline=None, count=1):
        rx = re.compile(pattern, re.M | re.S)
        poll(lambda: len(rx.findall(self.stderr)) >= count,
             lambda: "no %r in the log:\n%s" % (pattern, self.stderr[-4000:]),
             deadline)
        return rx.search(self.stderr)

    def wait_access(self, pattern, deadline=None, count=1):
        rx = re.compile(pattern, re.M)
        poll(lambda: len(rx.findall(self.stdout)) >= count,
             lambda: "no %r in the access log:\n%s\n-- error log:\n%s" %
             (pattern, self.stdout[-2000:], self.stderr[-2000:]), deadline)
        return rx.search(self.stdout)

    def allow(self, *patterns):
        """Warnings or worse that may appear."""
        self.allowed += [re.compile(p, re.S) for p in patterns]

    def expect(self, *patterns):
        """Warnings or worse that must appear, and may."""
        self.expected += [re.compile(p, re.S) for p in patterns]

    # -- life

    def wait_serving(self, deadline=None):
        rx = re.compile(r"running on (.+?)(?: \(Press CTRL\+C to quit\))?$",
                        re.M | re.I)

        def serving():
            if self.proc.poll() is not None:
                raise AssertionError(
                    "%r ended with %d:\n%s" % (self.argv, self.proc.returncode,
                                               self.stderr[-4000:]))
            # the last of the lines has a hint
            return "Press CTRL+C" in self.stderr and rx.findall(self.stderr)

        found = poll(serving, lambda: "not serving:\n" + self.stderr[-4000:],
                     60 * SCALE if deadline is None else deadline)
        self.urls = found
        for url in found:
            m = re.fullmatch(r"https?://(.+):(\d+)/?", url)
            if m and self.port is None:
                self.host, self.port = m[1].strip("[]"), int(m[2])
            m = re.search(r"unix(?: socket|:/*)? ?(/\S+)", url)
            if m and self.unix is None:
                self.unix = m[1]
        ours = set(descriptors(self.pid).values())
        self.inodes = {i for i in listening_inodes()
                       if "socket:[%s]" % i in ours}
        # the line comes with the first worker
        poll(lambda: all(map(accepts, self.workers())),
             "not all workers serve")
        for pid in self.workers():
            self.baseline[pid] = descriptors(pid)

    def workers(self):
        return children(self.pid)

    @property
    def worker(self):
        return poll(self.workers, "no worker")[0]

    def signal(self, signo, pid=None):
        os.kill(pid or self.pid, signo)

    def wait(self, deadline=None):
        try:
            return self.proc.wait(DEADLINE if deadline is None else deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running:\n" + self.stderr[-4000:]) \
                from None

    def processes(self):
        """Every process that descends from this daemon."""
        mark = b"ASGID_TEST_ID=" + self.id.encode()
        found = []
        for pid in all_pids():
            st = stat_of(pid)
            if st is None:
                continue
            if st[1] == self.pid:
                found.append(pid)
                continue
            with contextlib.suppress(OSError):
                with open("/proc/%d/environ" % pid, "rb") as f:
                    if mark in f.read():
                        found.append(pid)
        return found

    def kill_all(self):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signals.SIGKILL)
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()

    # -- clients

    def connect(self, **kw):
        address = self.unix if self.port is None else (self.host, self.port)
        c = Connection(kw.pop("address", address), **kw)
        self.conns.append(c)
        return c

    def request(self, method="GET", target="/", **kw):
        """One request on a connection of its own."""
        end = time.monotonic() + DEADLINE
        while True:
            try:
                with self.connect() as c:
                    return c.request(method, target, **kw)
            except Late:
                if time.monotonic() > end:
                    raise

    def get(self, target="/", **kw):
        return self.request("GET", target, **kw)

    # -- proof that nothing is left

    def check_descriptors(self):
        now = {}

        def back():
            now.clear()
            for pid, base in self.baseline.items():
                if stat_of(pid) is None:
                    continue
                fds = descriptors(pid)
                if len(fds) != len(base):
                    now[pid] = (sorted(base.items()), sorted(fds.items()))
            return not now

        poll(back, lambda: "descriptors leaked (before, after): %r" % now)

    def check_log(self):
        bad = []
        for level, text in self.records():
            if SANITIZER.search(text):
                bad.append((level, text))
            elif level in ("CRITICAL", "ERROR", "WARNING", ""):
                if not any(rx.search(text)
                           for rx in self.allowed + self.expected):
                    bad.append((level, text))
            elif NEGLECT.search(text) and not any(
                    rx.search(text) for rx in self.allowed + self.expected):
                bad.append((level, text))
        assert not bad, "unexpected in the log:\n" + "\n".join(
            "%s %s" % b for b in bad)
        for rx in self.expected:
            assert any(lv in ("CRITICAL", "ERROR", "WARNING") and
                       rx.search(text) for lv, text in self.records()), \
                "not in the log: %r\n%s" % (rx.pattern, self.stderr[-4000:])

    def stop(self, signo=signals.SIGTERM):
        """Close our connections, stop the daemon, return its status."""
        for c in self.conns:
            c.close()
        if self.proc.poll() is None:
            self.signal(signo)
        return self.wait()

    def check_and_stop(self):
        try:
            for c in self.conns:
                c.close()
            if self.proc.poll() is None:
                if self.check_fds:
                    self.check_descriptors()
                self.signal(signals.SIGTERM)
            status = self.wait()
            assert not self.check_status or status == self.status, \
                "exit status %d, not %d:\n%s" % (status, self.status,
                                                 self.stderr[-4000:])
            left = []
            poll(lambda: not left.clear() and
                 not left.extend(self.processes()) and not left,
                 lambda: "processes left: %r" % [
                     (p, open("/proc/%d/cmdline" % p).read()) for p in left])
            still = self.inodes & set(listening_inodes())
            assert not still, "still listening"
            self.check_log()
        finally:
            self.kill_all()


def run(*args, env=None, cwd=None, deadline=None):
    """Run asgid to its end: (status, stdout, stderr)."""
    if not {"-c", "--version", "--help"} & set(args):
        args += "-o", "control.socket="     # parallel tests share none
    environ = dict(os.environ, **(env or {}))
    environ.setdefault("ASAN_OPTIONS", "detect_leaks=0:quarantine_size_mb=1")
    p = subprocess.run([program(), *map(str, args)], capture_output=True,
                       stdin=subprocess.DEVNULL, env=environ, cwd=cwd,
                       timeout=deadline or 60 * SCALE,
                       start_new_session=True)
    return (p.returncode, p.stdout.decode(errors="replace"),
            p.stderr.decode(errors="replace"))


def would_block(e):
    return e.errno in (errno.EAGAIN, errno.EWOULDBLOCK)
