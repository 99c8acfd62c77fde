"""What the small applications share: replies, body reading, a journal."""
import asyncio

JOURNAL = []        # what the application saw, served by reply_journal
GATES = {}


def note(*what):
    JOURNAL.append(what[0] if len(what) == 1 else what)


def gate(name):
    return GATES.setdefault(name, asyncio.Event())


async def reply(send, body=b"", status=200, headers=()):
    if isinstance(body, str):
        body = body.encode()
    await send({"type": "http.response.start", "status": status,
                "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


class Gone(Exception):
    """The client left before its body was complete."""


async def read_body(receive):
    parts = []
    while True:
        m = await receive()
        if m["type"] != "http.request":
            raise Gone(m["type"])
        parts.append(m.get("body", b""))
        if not m.get("more_body"):
            return b"".join(parts)


async def service(scope, receive, send):
    """/journal, /clear, /open/NAME, /gate/NAME: True when it was one of them."""
    path = scope["path"]
    if path == "/journal":
        await reply(send, repr(JOURNAL))
    elif path == "/clear":
        JOURNAL.clear()
        GATES.clear()
        await reply(send, b"")
    elif path.startswith("/open/"):
        gate(path[6:]).set()
        await reply(send, b"")
    else:
        return False
    return True


def routes(table):
    """An application that dispatches on the path."""
    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no " + scope["type"])
        if await service(scope, receive, send):
            return
        try:
            return await table["f_" + scope["path"].strip("/").split("/")[0]](
                scope, receive, send)
        except Gone:
            note("gone")
    return app
