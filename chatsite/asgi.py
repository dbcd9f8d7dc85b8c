"""The site as an ASGI application: Django, with open event streams that cost neither a thread nor a connection."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import django
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
django.setup(set_prefix=False)

from django.db import close_old_connections, connections  # noqa: E402

from chat.events import end_all_streams  # noqa: E402
from chat.runner import runner  # noqa: E402

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


KEPT_THREADS = 8
"""Threads that wait for the next request, each with a database connection; more are started where more is to be done."""


class RequestThreads:
    """Threads that requests are answered in, one each, and that are kept: a new one costs a new database connection."""

    def __init__(self) -> None:
        self._idle: list[ThreadPoolExecutor] = []

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[None]:
        """Run what is synchronous in the block in one thread that does nothing else meanwhile."""
        thread = self._idle.pop() if self._idle else ThreadPoolExecutor(max_workers=1, thread_name_prefix="request")
        thread.submit(close_old_connections)  # one that broke meanwhile, or is too old
        try:
            async with ThreadSensitiveContext(executor=thread):
                yield
        except asyncio.CancelledError:
            # The client hung up in the middle: what was begun may still be running there.
            _end(thread)
            raise
        except BaseException:
            self._take_back(thread)
            raise
        self._take_back(thread)

    def close(self) -> None:
        """End the threads that nobody uses, and their connections."""
        while self._idle:
            _end(self._idle.pop(), wait=True)

    def _take_back(self, thread: ThreadPoolExecutor) -> None:
        if len(self._idle) < KEPT_THREADS:
            self._idle.append(thread)
        else:
            _end(thread)


def _end(thread: ThreadPoolExecutor, *, wait: bool = False) -> None:
    """End a thread once it has done what was given to it, and close its connections, which nobody else can."""
    thread.submit(connections.close_all)
    thread.shutdown(wait=wait)


class StreamingASGIHandler(ASGIHandler):
    """Django's handler, which gives a request its own thread only until it has a response.

    Django's own keeps the thread, and the database connection in it, until the last byte was sent: for an EventSource
    that is until the tab is closed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threads = RequestThreads()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            self.threads.close()
        else:
            await self.handle(scope, receive, send)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        async with self.threads.lend():
            return await super().get_response_async(request)


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
