# SPDX-License-Identifier: BSD-3-Clause
import concurrent.futures

import pytest

from fakepg import FakePostgres

APP = "async_app:app"


def prepare(folder):
    return {"DATA": str(folder), "PG_PORT": str(FakePostgres().port)}


def test_aiosqlite(client):
    for n in range(1, 4):
        assert client.get(f"/sqlite?v={n}").json() == \
            [str(i) for i in range(1, n + 1)]


def test_asyncpg(client):
    for _ in range(3):
        assert client.get("/postgres").json() == [list(range(10)), [[41]]]


@pytest.mark.parametrize("round", range(2))
def test_httpx_client_asks_the_server_itself(server, client, round):
    r = client.get("/itself", params={"base": server.url})
    assert r.json() == [["Hello, world!"] * 20, "Hello, world!"]


def test_anyio(client):
    assert client.get("/groups").json() == [
        [[n, i] for n in range(5) for i in range(3)], True, True,
        ["in the group"], 42]


def test_asyncio(client):
    assert client.get("/taskgroup").json() == [
        [0, 1, 4, 9, 16], True, [0, 1, 2, 3, 4], ["enough"], [16], True]


def test_context_variables(client):
    def ask(i):
        return client.get(f"/context?who=u{i}").json()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(200))) == \
            [["nobody", f"u{i}", f"u{i}"] for i in range(200)]


def test_threads(client):
    assert client.get("/threads").json() == \
        [45, "from a thread", 1024, 3, "d"]


def test_subprocesses(client):
    assert client.get("/subprocess").json() == ["reversed", 3, 7, True]


def test_sockets(client):
    assert client.get("/sockets").json() == ["ONE\n", 300001, True]


def test_many_tasks(client):
    assert client.get("/gathered?n=5000").json() is True


def test_all_at_once(server, client):
    """Everything above again, side by side."""
    paths = ["/postgres", "/groups", "/taskgroup", "/threads", "/sockets",
             "/context?who=x", "/gathered?n=500",
             f"/itself?base={server.url}"] * 6
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        assert set(pool.map(lambda p: client.get(p).status_code, paths)) == \
            {200}
