"""The site as an ASGI application: Django, with open event streams that cost neither a thread nor a connection."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import warnings
from collections.abc import Awaitable, Callable, Mapping
from types import FrameType
from typing import Any

import django
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
django.setup(set_prefix=False)

from django.db import connections  # noqa: E402

from chat.events import end_all_streams  # noqa: E402
from chat.runner import runner  # noqa: E402

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class StreamingASGIHandler(ASGIHandler):
    """Django's handler, which gives a request its own thread only until it has a response.

    Django's own keeps the thread, and the database connection in it, until the last byte was sent: for an EventSource
    that is until the tab is closed.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await self.handle(scope, receive, send)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        async with ThreadSensitiveContext() as context:
            try:
                return await super().get_response_async(request)
            finally:
                # Not by sync_to_async: where a client hung up in mid-request, it looks for a thread that is gone.
                if executor := SyncToAsync.context_to_thread_executor.get(context):
                    await asyncio.wrap_future(executor.submit(connections.close_all))


async def _lifespan(receive: Receive, send: Send) -> None:
    """Start the runner with the server, and stop it with the server."""
    await receive()
    _end_streams_at_signals()
    runner.wake()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    end_all_streams()
    await sync_to_async(runner.stop, thread_sensitive=False)()
    await send({"type": "lifespan.shutdown.complete"})


def _end_streams_at_signals() -> None:
    """End the open streams when the process is asked to stop: a server waits for them, and they would never end."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if callable(handler):
            signal.signal(number, _ending_streams_first(handler))


def _ending_streams_first(handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], Any]:
    def handle(number: int, frame: FrameType | None) -> None:
        end_all_streams()
        handler(number, frame)

    return handle


# WhiteNoise hands over files as they are; they are small, and read at once.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

application = StreamingASGIHandler()
