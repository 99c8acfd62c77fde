"""Odd shapes of applications."""
import logging
import sys

from util import reply


class Callable:
    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        await reply(send, b"instance")


instance = Callable()


class Asgi2:
    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        assert self.scope["type"] == "http"
        await reply(send, repr(self.scope["asgi"]["version"]))


class Holder:
    inner = instance


number = 5


def factory():
    return instance


def bad_factory():
    raise TypeError("factory fails")


async def logs(scope, receive, send):
    assert scope["type"] == "http"
    print("printed by the application", flush=True)
    print("complained by the application", file=sys.stderr, flush=True)
    logging.getLogger("my").warning("warned by the application")
    await reply(send, b"logged")
