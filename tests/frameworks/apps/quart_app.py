"""Quart: its request object, streams, sessions, uploads, background tasks."""

import asyncio
import hashlib

from quart import (Blueprint, Quart, Response, abort, g, jsonify, redirect,
                   render_template_string, request, session, url_for)

app = Quart(__name__)
app.secret_key = "secret"
events = []


@app.before_serving
async def before_serving():
    app.config["GREETING"] = "served"


@app.while_serving
async def while_serving():
    events.append("up")
    yield


@app.before_request
async def before_request():
    g.number = int(request.headers.get("x-number", "0"))


@app.after_request
async def after_request(response):
    response.headers["x-number"] = str(g.number)
    return response


@app.get("/")
async def index():
    return "Hello, world!"


@app.get("/page/<name>")
async def page(name):
    return await render_template_string(
        "<p>{{ greeting }} {{ name }}</p>", name=name,
        greeting=app.config["GREETING"])


@app.post("/json")
async def json():
    data = await request.get_json()
    return jsonify(got=data, args=request.args.to_dict(flat=False))


@app.post("/digest")
async def digest():
    sha = hashlib.sha256()
    async for piece in request.body:
        sha.update(piece)
    return sha.hexdigest()


@app.post("/upload")
async def upload():
    form, files = await request.form, await request.files
    return jsonify(note=form["note"], size=len(files["file"].read()),
                   name=files["file"].filename)


@app.get("/stream/<int:n>")
async def stream(n):
    async def blocks():
        for i in range(n):
            yield f"{i}\n".encode()
            await asyncio.sleep(0)
    return Response(blocks(), content_type="text/plain")


@app.get("/visits")
async def visits():
    session["visits"] = session.get("visits", 0) + 1
    return jsonify(session["visits"])


@app.get("/number")
async def number():
    """g belongs to the request even when others run in between."""
    await asyncio.sleep(0.01)
    return str(g.number)


@app.get("/threaded")
def threaded():
    import threading
    return jsonify(threading.current_thread() is threading.main_thread())


@app.post("/background")
async def background():
    async def later():
        await asyncio.sleep(0.01)
        events.append("background")
    app.add_background_task(later)
    return "accepted", 202


@app.get("/seen")
async def seen():
    return jsonify(events)


@app.get("/redirect")
async def away():
    return redirect(url_for("index"))


@app.get("/teapot")
async def teapot():
    abort(418)


@app.errorhandler(418)
async def on_teapot(error):
    return jsonify(error="teapot"), 418


@app.get("/crash")
async def crash():
    return {}["missing"]


sub = Blueprint("sub", __name__, url_prefix="/sub")


@sub.get("/")
async def sub_index():
    return "in the blueprint"


app.register_blueprint(sub)
