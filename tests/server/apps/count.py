"""Counts the requests it sees and reads their bodies; /count tells."""
from util import Gone, read_body, reply

SEEN = []


async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/count":
        return await reply(send, repr(SEEN))
    SEEN.append((scope["method"], scope["path"]))
    try:
        body = await read_body(receive)
    except Gone:
        return
    await reply(send, repr((scope["method"], scope["path"], body)))
