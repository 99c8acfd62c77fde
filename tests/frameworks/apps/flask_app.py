"""Flask, a WSGI application, through a2wsgi."""
import threading

from a2wsgi import WSGIMiddleware
from flask import Flask, Response, request

flask = Flask(__name__)
LEFT = threading.Event()


@flask.route("/hello")
def hello():
    return "hello"


@flask.route("/echo", methods=["POST"])
def echo():
    return Response(request.get_data(), mimetype="text/plain")


@flask.route("/leave")
def leave():
    """Far more parts than a2wsgi's queue holds, after the client has left."""
    def parts():
        yield b"first"
        LEFT.wait(60)
        for _ in range(50):
            yield b"x" * 1000
    LEFT.clear()
    return Response(parts(), mimetype="application/octet-stream")


@flask.route("/left")
def left():
    LEFT.set()
    return "told"


app = WSGIMiddleware(flask, workers=3)
