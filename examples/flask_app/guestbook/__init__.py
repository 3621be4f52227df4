"""A guest book: a Flask application with templates and static files. It knows nothing of archives."""

from __future__ import annotations

import argparse
import signal
import sys

import flask
import waitress
from werkzeug.wrappers import Response


def create_app() -> flask.Flask:
    app = flask.Flask(__name__)
    entries: list[str] = []

    @app.get("/")
    def index() -> str:
        return flask.render_template("index.html", entries=entries)

    @app.post("/")
    def sign() -> Response:
        entries.append(flask.request.form["entry"])
        return flask.redirect(flask.url_for("index"))

    return app


def main() -> None:
    parser = argparse.ArgumentParser(prog="guestbook", description="Serve a guest book.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 for one that is free")
    options = parser.parse_args()
    # waitress finishes what it has begun on SystemExit, as on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = waitress.create_server(create_app(), host=options.host, port=options.port)
    print(f"listening on http://{options.host}:{server.effective_port}", flush=True)
    server.run()
