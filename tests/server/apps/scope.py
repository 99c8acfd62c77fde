"""Shows its scope, as a Python literal."""
from util import read_body, reply


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"].update(shared=[], top=1)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    state = scope["state"]
    shown = dict(scope, state=dict(state))
    shown["types"] = {k: type(v).__name__ for k, v in scope.items()}
    shown["header_types"] = sorted({type(h).__name__
                                    for h in scope["headers"]})
    shown["headers"] = list(scope["headers"])
    body = repr(shown)
    if scope["path"].endswith("/state"):
        state["shared"].append(len(state["shared"]))
        state["top"] += 1
        scope["path"] = "changed"
        scope["headers"] = None
        scope["asgi"]["version"] = "changed"
        scope.get("extensions", {}).clear()
    await read_body(receive)
    await reply(send, body)
