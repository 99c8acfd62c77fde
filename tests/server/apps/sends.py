"""send(): one path a behaviour."""
import json

from util import note, read_body, reply, routes


def start(status=200, headers=()):
    return {"type": "http.response.start", "status": status,
            "headers": list(headers)}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


BAD = {
    "body-first": body(b"x"),
    "unknown-type": {"type": "http.nonsense"},
    "websocket": {"type": "websocket.accept"},
    "no-type": {"status": 200},
    "not-a-dict": 17,
    "none": None,
    "no-status": {"type": "http.response.start"},
    "status-str": start("200"),
    "status-99": start(99),
    "status-600": start(600),
    "status-100": start(100),
    "status-101": start(101),
    "status-199": start(199),
    "status-negative": start(-200),
    "status-huge": start(2 ** 70),
    "name-str": start(200, [("x-a", b"b")]),
    "value-str": start(200, [(b"x-a", "b")]),
    "value-none": start(200, [(b"x-a", None)]),
    "name-space": start(200, [(b"x a", b"b")]),
    "name-colon": start(200, [(b"x:a", b"b")]),
    "name-empty": start(200, [(b"", b"b")]),
    "name-nul": start(200, [(b"x\0a", b"b")]),
    "name-crlf": start(200, [(b"x\r\na", b"b")]),
    "name-obs": start(200, [(b"x\xe9", b"b")]),
    "value-cr": start(200, [(b"x-a", b"b\rc")]),
    "value-lf": start(200, [(b"x-a", b"b\nc")]),
    "value-crlf": start(200, [(b"x-a", b"b\r\nset-cookie: a=b")]),
    "value-nul": start(200, [(b"x-a", b"b\0c")]),
    "value-ctl": start(200, [(b"x-a", b"b\x01c")]),
    "value-del": start(200, [(b"x-a", b"b\x7fc")]),
    "pair-short": start(200, [(b"x-a",)]),
    "pair-long": start(200, [(b"x-a", b"b", b"c")]),
    "headers-int": {"type": "http.response.start", "status": 200,
                    "headers": 5},
    "length-word": start(200, [(b"content-length", b"many")]),
    "length-signed": start(200, [(b"content-length", b"+5")]),
    "length-two": start(200, [(b"content-length", b"5"),
                              (b"content-length", b"6")]),
}

BAD_BODY = {
    "str": body("text"),
    "int": body(5),
    "list": body([b"a"]),
    "start": start(),
    "unknown-type": {"type": "http.nonsense"},
}


async def f_bad(scope, receive, send):
    """A bad first message: the exception is shown by a good answer."""
    message = BAD[scope["path"].split("/")[2]]
    try:
        await send(message)
    except Exception as e:
        await reply(send, json.dumps([type(e).__name__, str(e)]))
    else:
        raise AssertionError("accepted")


async def f_escapes(scope, receive, send):
    await send(BAD[scope["path"].split("/")[2]])
    note("accepted")


async def f_badbody(scope, receive, send):
    """A bad message after http.response.start, then a good one."""
    await send(start())
    try:
        await send(BAD_BODY[scope["path"].split("/")[2]])
    except Exception as e:
        await send(body(json.dumps([type(e).__name__, str(e)]).encode()))
    else:
        note("accepted")


async def f_badbodyescapes(scope, receive, send):
    await send(start())
    await send(BAD_BODY[scope["path"].split("/")[2]])


async def f_late(scope, receive, send):
    await reply(send, b"whole")
    for m in (start(), body(b"more"), {"type": "http.nonsense"}):
        try:
            await send(m)
            note("accepted")
        except Exception as e:
            note((type(e).__name__, str(e)))


async def f_types(scope, receive, send):
    await send(start())
    await send(body(b"bytes,", True))
    await send(body(bytearray(b"bytearray,"), True))
    await send(body(memoryview(b"..memoryview,..")[2:-2], True))
    await send(body(memoryview(b"s.t.r.i.d.e.d.,")[::2], True))
    await send({"type": "http.response.body", "more_body": True})
    await send({"type": "http.response.body"})


async def f_onetype(scope, receive, send):
    kind = {"bytes": bytes, "bytearray": bytearray,
            "memoryview": memoryview}[scope["path"].split("/")[2]]
    await reply(send, kind(b"in one piece"))


async def f_mutate(scope, receive, send):
    """What was sent may be changed afterwards without harm."""
    buf = bytearray(b"A" * 200000)
    await send(start())
    await send(body(buf, True))
    buf[:] = b"B" * len(buf)
    await send(body(buf, True))
    buf[:] = b"C" * len(buf)
    del buf[10:]
    await send(body())


async def f_mutatelast(scope, receive, send):
    buf = bytearray(b"A" * 300000)
    await send(start())
    await send(body(buf))
    buf[:] = b"B" * len(buf)


async def f_headers(scope, receive, send):
    """Every shape of headers; order and duplicates stay."""
    kind = scope["path"].split("/")[2]
    if kind == "generator":
        h = ((b"x-%d" % i, b"%d" % i) for i in range(3))
    elif kind == "lists":
        h = [[b"x-0", b"0"], [b"x-1", b"1"], [b"x-2", b"2"]]
    elif kind == "tuple":
        h = ((b"x-0", b"0"), (b"x-1", b"1"), (b"x-2", b"2"))
    elif kind == "missing":
        await send({"type": "http.response.start", "status": 200})
        return await send(body(b"ok"))
    elif kind == "mixed":
        h = [(b"Set-Cookie", b"a=1"), (b"x-mid", b"m"),
             (b"set-cookie", b"b=2"), (b"x-empty", b""),
             (b"x-tab", b"a\tb"), (b"x-obs", b"caf\xe9"),
             (b"set-cookie", b"c=3"), (b"x-space", b"  in  side ")]
    elif kind == "many":
        h = [(b"x-%d" % i, b"v" * 20) for i in range(100)]
    elif kind == "big":
        h = [(b"x-big", b"v" * 60000)]
    await send({"type": "http.response.start", "status": 200, "headers": h})
    await send(body(b"ok"))


async def f_own(scope, receive, send):
    await reply(send, b"own", 200, [
        (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"), (b"Server", b"mine")])


async def f_te(scope, receive, send):
    """Transfer-Encoding is the server's business."""
    h = [(b"transfer-encoding", b"chunked")]
    if scope["path"].endswith("stream"):
        await send(start(200, h))
        await send(body(b"one", True))
        await send(body(b"two"))
    elif scope["path"].endswith("length"):
        await reply(send, b"sized", 200, h + [(b"content-length", b"5")])
    else:
        await reply(send, b"plain", 200, h)


async def f_long(scope, receive, send):
    await send(start(200, [(b"content-length", b"5")]))
    try:
        await send(body(b"12345678"))
        note("accepted")
    except Exception as e:
        note((type(e).__name__, str(e)))
        raise


async def f_longstream(scope, receive, send):
    await send(start(200, [(b"content-length", b"5")]))
    await send(body(b"123", True))
    await send(body(b"45678", True))
    note("accepted")
    await send(body())


async def f_short(scope, receive, send):
    await send(start(200, [(b"content-length", b"50")]))
    await send(body(b"12345", True))
    await send(body(b"678"))


async def f_shortone(scope, receive, send):
    await send(start(200, [(b"content-length", b"50")]))
    await send(body(b"12345"))


async def f_exact(scope, receive, send):
    await send(start(200, [(b"content-length", b"10")]))
    for i in range(10):
        await send(body(b"%d" % i, True))
    await send(body())


async def f_status(scope, receive, send):
    await reply(send, b"s", int(scope["path"].split("/")[2]))


async def f_enum(scope, receive, send):
    import http
    await reply(send, b"teapot", http.HTTPStatus.IM_A_TEAPOT)


async def f_empty(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


async def f_close(scope, receive, send):
    await reply(send, b"bye", 200, [(b"Connection", b"Close")])


async def f_keep(scope, receive, send):
    await reply(send, b"stay", 200, [(b"connection", b"keep-alive"),
                                     (b"keep-alive", b"timeout=5")])


async def f_post(scope, receive, send):
    await reply(send, repr(await read_body(receive)))


app = routes(globals())
