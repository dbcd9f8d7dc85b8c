"""The app that this site began as: Flask, a thread per request, a generator that yields events.

``python -m bench.streaming.ways.seed PORT``
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

from flask import Flask, Response, request

from bench.streaming.pace import Order, paced_in_thread

app = Flask(__name__)


@app.get("/stream")
def stream() -> Response:
    return Response(_as_events(Order.parse(request.args["order"])), mimetype="text/event-stream")


def _as_events(order: Order) -> Iterator[str]:
    for piece in paced_in_thread(order):
        yield f"data: {json.dumps({'text': piece})}\n\n"
    yield "event: done\ndata: {}\n\n"


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request is not what is measured
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
