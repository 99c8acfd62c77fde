"""receive(): what it gives, when, and in which state."""
import asyncio

from util import GATES, gate, note, read_body, reply, routes


async def f_messages(scope, receive, send):
    """All messages until the body has ended."""
    got = []
    while True:
        m = await receive()
        got.append(m)
        if m["type"] != "http.request" or not m["more_body"]:
            break
    await reply(send, repr(got))


async def f_after(scope, receive, send):
    """receive() after the body blocks; after the response it does not."""
    await read_body(receive)
    try:
        await asyncio.wait_for(receive(), 0.05)
        note("did not block")
    except asyncio.TimeoutError:
        note("blocks")
    await reply(send, b"done")
    note(await receive())
    note(await receive())


async def f_patient(scope, receive, send):
    """A cancelled receive() loses nothing."""
    timeouts = 0
    parts = []
    while True:
        try:
            m = await asyncio.wait_for(receive(), 0.01)
        except asyncio.TimeoutError:
            timeouts += 1
            note("timed out")
            continue
        parts.append(m["body"])
        if not m["more_body"]:
            break
    await reply(send, repr((timeouts > 0, b"".join(parts))))


async def f_disconnect(scope, receive, send):
    """Waits for the client to go."""
    try:
        await read_body(receive)
        note("waiting")
        m = await receive()
        note(m["type"])
        note((await receive())["type"])
        try:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"x"})
            note("sent")
        except OSError:
            note("OSError")
    except BaseException as e:
        note(repr(e))
        raise


async def f_escape(scope, receive, send):
    """The OSError of send() escapes the application."""
    await read_body(receive)
    note("waiting")
    await receive()
    note("gone")
    while True:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x" * 65536,
                    "more_body": True})
        await send({"type": "http.response.body", "body": b"y"})


async def f_stream(scope, receive, send):
    """Streams until the client goes; a second task listens."""
    async def listen():
        while True:
            m = await receive()
            if m["type"] == "http.disconnect":
                note("disconnect")
                return
    task = asyncio.create_task(listen())
    await send({"type": "http.response.start", "status": 200})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"x" * 100,
                        "more_body": True})
            await asyncio.sleep(0.005)
    except OSError:
        note("OSError")
    await asyncio.wait_for(task, 60)


async def f_work(scope, receive, send):
    """Works for a while beside a listener; the client leaves meanwhile."""
    await read_body(receive)
    task = asyncio.create_task(receive())
    note("waiting")
    try:
        m = await asyncio.wait_for(asyncio.shield(task), 60)
        note(m["type"])
    except asyncio.TimeoutError:
        note("never told")


async def f_body(scope, receive, send):
    """The client leaves in the middle of its body."""
    while True:
        m = await receive()
        note((m["type"], m.get("body"), m.get("more_body")))
        if m["type"] == "http.disconnect":
            return


async def f_two(scope, receive, send):
    """Two listeners at once: both wake when the client goes."""
    await read_body(receive)
    a = asyncio.create_task(receive())
    b = asyncio.create_task(receive())
    note("waiting")
    for t in (a, b):
        try:
            note((await asyncio.wait_for(t, 60))["type"])
        except RuntimeError as e:
            note("http.disconnect" if "receive" in str(e) else repr(e))


async def f_gated(scope, receive, send):
    await gate("go").wait()
    GATES.pop("go", None)
    body = await read_body(receive)
    await reply(send, repr(len(body)))


app = routes(globals())
