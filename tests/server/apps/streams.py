"""Bodies in pieces, large ones, early answers, full duplex."""
import asyncio
import hashlib

from util import GATES, gate, note, read_body, reply, routes

BLOCK = bytes(range(256)) * 256         # 64 KiB


def start(headers=(), status=200):
    return {"type": "http.response.start", "status": status,
            "headers": list(headers)}


def body(data=b"", more=True):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def f_parts(scope, receive, send):
    await send(start())
    for part in (b"one,", b"", b"two,", b"x" * 100000, b"", b",three"):
        await send(body(part))
        if scope["path"].endswith("slow"):
            await asyncio.sleep(0)
    await send(body(more=False))


async def f_lastpart(scope, receive, send):
    await send(start())
    await send(body(b"first,"))
    await send(body(b"last", False))


async def f_events(scope, receive, send):
    """An event stream that has nothing to tell for a while."""
    await send(start([(b"Content-Type", b"text/event-stream; charset=utf-8"),
                      *EVENTS.get(scope["path"], ())]))
    await gate("event").wait()
    GATES.clear()
    if scope["path"] == "/events/fails":
        raise ValueError("no event")
    await send(body(b"data: 1\n\n", False))


EVENTS = {"/events/sized": [(b"content-length", b"9")]}


async def f_gated(scope, receive, send):
    """Each piece must reach the client before the next is made."""
    await send(start())
    for name in "abc":
        await send(body(name.encode() * 10))
        await gate(name).wait()
        GATES.pop(name)
    await send(body(b"end", False))


async def f_gatedlast(scope, receive, send):
    """The only body message comes late: still one sized response."""
    await send(start())
    await gate("last").wait()
    GATES.pop("last")
    await send(body(b"late", False))


async def f_nobody(scope, receive, send):
    """status from the path, with or without body and length."""
    _, _, status, kind = scope["path"].split("/")
    headers = [(b"content-length", b"5")] if "length" in kind else []
    await send(start(headers, int(status)))
    if "stream" in kind:
        await send(body(b"123"))
        await send(body(b"45", False))
    elif "data" in kind:
        await send(body(b"12345", False))
    else:
        await send(body(more=False))


async def f_down(scope, receive, send):
    """N blocks of 64 KiB, their digest in the journal."""
    n = int(scope["path"].split("/")[2])
    headers = []
    if scope["path"].endswith("sized"):
        headers = [(b"content-length", b"%d" % (n * len(BLOCK)))]
    await send(start(headers))
    note("start")
    for i in range(n):
        await send(body(BLOCK))
        PROGRESS[0] = i + 1
    await send(body(more=False))
    note("end")

PROGRESS = [0, 0]


async def f_whole(scope, receive, send):
    """One body message of N blocks."""
    await reply(send, BLOCK * int(scope["path"].split("/")[2]))


async def f_progress(scope, receive, send):
    await reply(send, repr(PROGRESS))


async def f_up(scope, receive, send):
    h = hashlib.sha256()
    n = biggest = 0
    while True:
        m = await receive()
        assert m["type"] == "http.request", m
        h.update(m["body"])
        n += len(m["body"])
        biggest = max(biggest, len(m["body"]))
        PROGRESS[1] = n
        if not m["more_body"]:
            break
    await reply(send, repr((n, h.hexdigest(), biggest)))


async def f_upgated(scope, receive, send):
    await receive()
    await gate("up").wait()
    GATES.pop("up")
    await f_up(scope, receive, send)


async def f_late100(scope, receive, send):
    """Asks for the body only when the gate opens."""
    await gate("ask").wait()
    GATES.pop("ask")
    await reply(send, repr(await read_body(receive)))


async def f_echo(scope, receive, send):
    await reply(send, await read_body(receive))


async def f_early(scope, receive, send):
    """Answers without having read anything."""
    status = int(scope["path"].split("/")[2])
    await reply(send, b"early %d" % status, status)


async def f_earlywait(scope, receive, send):
    await asyncio.sleep(0.01)
    await f_early(scope, receive, send)


async def f_earlystream(scope, receive, send):
    await send(start(status=413))
    await send(body(b"too "))
    await asyncio.sleep(0)
    await send(body(b"large", False))


async def f_earlyafter(scope, receive, send):
    """Reads one piece, then refuses."""
    await receive()
    await reply(send, b"early", 413)


async def f_duplex(scope, receive, send):
    await send(start())
    while True:
        m = await receive()
        if m["type"] != "http.request":
            note(m["type"])
            return
        if m["body"]:
            await send(body(m["body"]))
        if not m["more_body"]:
            break
    await send(body(more=False))


async def f_duplexgo(scope, receive, send):
    """Greets before anything of the body was asked for."""
    await send(start())
    await send(body(b"hello,"))
    data = await read_body(receive)
    await send(body(data, False))


app = routes(globals())
