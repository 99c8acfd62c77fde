"""Applications whose call itself does something, each of another form. They
set USER on /login, and tell what they found."""
import asyncio
import contextvars

from util import reply

USER = contextvars.ContextVar("USER", default="nobody")


def enter(scope):
    """What the call of the application finds, before any await."""
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    before = USER.get()
    if scope["path"] == "/login":
        USER.set("alice")
    task = asyncio.current_task()
    return "%s %s" % (before, "task" if task is not None else "no task")


async def answer(text, send):
    await reply(send, "%s %s" % (text, USER.get()))


def plain(scope, receive, send):
    return answer(enter(scope), send)


anonymous = (lambda scope, receive, send: answer(enter(scope), send))


class Site:
    def bound(self, scope, receive, send):
        return answer(enter(scope), send)

    def __call__(self, scope, receive, send):
        return answer(enter(scope), send)


bound = Site().bound
instance = Site()


class Double:
    """ASGI 2."""

    def __init__(self, scope):
        self.text = enter(scope)

    def __call__(self, receive, send):
        self.text += ""
        return answer(self.text, send)


class Awaitable:
    """Neither a coroutine nor a generator."""

    def __init__(self, scope, receive, send):
        self.coroutine = answer(enter(scope), send)

    def __await__(self):
        return self.coroutine.__await__()


async def factory(scope, receive, send):
    """Its task factory sets a variable, as tracing libraries do."""
    if scope["type"] == "lifespan":
        def make(loop, coroutine, **kw):
            request = type(coroutine).__name__ == "Cycle"
            if request and USER.get() != "nobody":
                raise AssertionError("left behind: " + USER.get())
            USER.set("factory")
            return asyncio.Task(coroutine, loop=loop, **kw)
        asyncio.get_running_loop().set_task_factory(make)
        raise RuntimeError("no lifespan")
    await reply(send, "%s task %s" % ("nobody" if USER.get() == "factory"
                                      else "?", USER.get()))


def fails(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    if scope["path"] == "/exit":
        raise SystemExit(3)
    if scope["path"] == "/cancelled":
        raise asyncio.CancelledError
    raise ValueError("in the call")
