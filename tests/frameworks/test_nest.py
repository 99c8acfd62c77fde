# SPDX-License-Identifier: BSD-3-Clause
"""nest_asyncio: it cannot nest the worker's loop, but takes nothing away."""
APP = "nest_app:app"


def test_serves(client):
    for _ in range(3):
        assert client.get("/").text == "[1, 2]"


def test_nested(client):
    """A clear error in the application, or the nesting it wants."""
    for _ in range(3):
        assert client.get("/nested").text in (
            repr(["asgid's event loop cannot be run by the application"]),
            "[3]")
        assert client.get("/").text == "[1, 2]"
