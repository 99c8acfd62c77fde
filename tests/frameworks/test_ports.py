# SPDX-License-Identifier: BSD-3-Clause
"""Libraries that ask whether receive and send are coroutine functions, and
what they return coroutines."""
import os

import httpx
import pytest

import daemon

APP = "ports_app:app"
OLD = os.environ.get("ASGID_TESTS_ANYIO", "").split()


@pytest.mark.parametrize("path", ["/groups", "/cancelled", "/wrapped",
                                  "/bridged"])
def test_newest(client, path):
    r = client.post(path, content=b"sent")
    assert r.status_code == 200
    assert r.text == {"/groups": "anyio", "/cancelled": "cancelled",
                      "/wrapped": "from a thread", "/bridged": "sent"}[path]


@pytest.mark.parametrize("venv", OLD, ids=range(len(OLD)))
def test_older_anyio(folder, tmp_path, venv):
    server = daemon.Server(APP, tmp_path, ["-o", "python.venv=" + venv])
    try:
        server.start()
        for path, text in (("/groups", "anyio"), ("/cancelled", "cancelled"),
                           ("/wrapped", "from a thread")):
            assert httpx.get(server.url + path, trust_env=False).text == text
        server.check()
        server.stop()
    finally:
        server.kill()


def test_there_are_older_ones():
    assert len(OLD) == 2
