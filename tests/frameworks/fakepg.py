# SPDX-License-Identifier: BSD-3-Clause
"""As much of a PostgreSQL server as asyncpg needs to run `select N`: the
point is asyncpg's protocol object on the loop under test, not SQL."""

import re
import socketserver
import struct
import threading


def message(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


READY = message(b"Z", b"I")
INT4 = 23


class Session(socketserver.StreamRequestHandler):
    def read(self, with_kind=True):
        kind = self.rfile.read(1) if with_kind else b""
        size = self.rfile.read(4)
        if len(size) < 4:
            return None, b""
        return kind, self.rfile.read(struct.unpack("!I", size)[0] - 4)

    def handle(self):
        self.queries, self.bound = {}, None
        _, start = self.read(with_kind=False)
        if start[:4] != struct.pack("!I", 196608):
            return
        self.wfile.write(message(b"R", struct.pack("!I", 3)))   # a password
        kind, password = self.read()
        if (kind, password) != (b"p", b"secret\0"):
            return
        settings = {"server_version": "16.1", "client_encoding": "UTF8",
                    "server_encoding": "UTF8", "TimeZone": "UTC",
                    "integer_datetimes": "on", "is_superuser": "off",
                    "standard_conforming_strings": "on"}
        self.wfile.write(message(b"R", struct.pack("!I", 0)) + b"".join(
            message(b"S", f"{k}\0{v}\0".encode())
            for k, v in settings.items()) +
            message(b"K", struct.pack("!II", 1, 2)) + READY)
        while True:
            kind, body = self.read()
            if kind in (None, b"X"):
                return
            answer = getattr(self, "on_" + kind.decode())(body)
            if answer:
                self.wfile.write(answer)

    def on_Q(self, body):           # BEGIN, COMMIT, RESET and the like
        tags = [part.strip().split(b" ")[0]
                for part in body.rstrip(b"\0").split(b";") if part.strip()]
        return b"".join(message(b"C", tag + b"\0") for tag in tags) + READY

    def on_P(self, body):
        name, query, _ = body.split(b"\0", 2)
        self.queries[name] = query
        return message(b"1")

    def on_D(self, body):
        column = b"n\0" + struct.pack("!IhIhih", 0, 0, INT4, 4, -1, 0)
        parameters = message(b"t", struct.pack("!h", 0))
        return (parameters if body[:1] == b"S" else b"") + \
            message(b"T", struct.pack("!h", 1) + column)

    def on_B(self, body):
        self.bound = self.queries[body.split(b"\0", 2)[1]]
        return message(b"2")

    def on_E(self, body):
        n = int(re.fullmatch(rb"select (\d+)", self.bound)[1])
        return message(b"D", struct.pack("!hii", 1, 4, n)) + \
            message(b"C", b"SELECT 1\0")

    def on_C(self, body):
        return message(b"3")

    def on_S(self, body):
        return READY

    def on_H(self, body):
        return b""


class FakePostgres(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Session)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,),
                         daemon=True).start()
