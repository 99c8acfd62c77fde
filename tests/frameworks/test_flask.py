# SPDX-License-Identifier: BSD-3-Clause
import socket

from daemon import wait_for

APP = "flask_app:app"
OPTIONS = ("-o", "application.send_after_disconnect=ignore",
           "--lifespan", "on")


def test_answers(client):
    assert client.get("/hello").text == "hello"
    body = bytes(range(256)) * 1000
    assert client.post("/echo", content=body).content == body


def test_clients_that_leave_cost_no_thread(server, client):
    """One more than a2wsgi has threads: none of them may wait for ever."""
    for i in range(4):
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.sendall(b"GET /leave HTTP/1.1\r\nHost: t\r\n\r\n")
            got = b""
            while b"first" not in got:
                got += s.recv(4096)
            # a reset: the server knows that nobody reads any more
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         b"\1\0\0\0\0\0\0\0")
        wait_for(lambda: server.access().count("/leave") == i + 1,
                 "the end of a request whose client has left")
        assert client.get("/left").text == "told"
    assert client.get("/hello").text == "hello"
