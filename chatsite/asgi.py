"""The site as an ASGI application: Django, with open event streams that cost neither a thread nor a connection."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib import import_module
from types import FrameType
from typing import Any

import django
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
django.setup(set_prefix=False)

from django.db import close_old_connections, connections  # noqa: E402

from chat import health  # noqa: E402
from chat.events import end_all_streams, relay  # noqa: E402
from chat.runner import runner  # noqa: E402

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


SWITCH_INTERVAL = 0.001
"""Seconds for which a thread may keep the others from Python: with the usual 5 ms, the one that stores texts, and comes
back from the database often, waits for longer than it works."""
GARBAGE = (10_000, 10, 10)
"""How much is made until the garbage collector looks for what is left of it, at what is new, newer, and at all: the
last stops all streams for a tenth of a second where there are hundreds, and most of what is made goes by itself."""
SETTLED = 10.0
"""Seconds after the start in which what is loaded late was loaded: the SDK of a provider that was asked if it is there,
the addresses of all pages."""
KEPT_THREADS = 8
"""Threads that wait for the next request, each with a database connection; more are started while more is to do."""


MOST_THREADS = 24
"""Requests that are answered at once; more wait. Each takes a database connection; PostgreSQL has a hundred of them."""


class RequestThreads:
    """Threads that requests are answered in, one each, and that are kept: a new one costs a new database connection."""

    def __init__(self) -> None:
        self._idle: list[ThreadPoolExecutor] = []
        self._free = asyncio.Semaphore(MOST_THREADS)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[None]:
        """Run what is synchronous in the block in one thread that does nothing else meanwhile."""
        async with self._free, self._lend():
            yield

    @asynccontextmanager
    async def _lend(self) -> AsyncIterator[None]:
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
    """Start the relay and the runner with the server, and stop them with the server."""
    await receive()
    sys.setswitchinterval(SWITCH_INTERVAL)
    _end_streams_at_signals()
    relay.start()
    runner.wake()
    gc.set_threshold(*GARBAGE)
    _keep_for_good()
    asyncio.get_running_loop().call_later(SETTLED, _keep_for_good)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    health.leave()
    end_all_streams()
    await sync_to_async(runner.stop, thread_sensitive=False)()
    # Last: how the answers ended is for the other processes, too.
    await sync_to_async(relay.stop, thread_sensitive=False)()
    await send({"type": "lifespan.shutdown.complete"})


def _keep_for_good() -> None:
    """Load the pages, and let the garbage collector pass over all that is loaded.

    It never goes, and to look at it all takes a good part of a second, in which no page hears anything.
    """
    import_module(settings.ROOT_URLCONF)
    gc.collect()
    gc.freeze()


def _end_streams_at_signals() -> None:
    """End the open streams when the process is asked to stop: a server waits for them, and they would never end."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if callable(handler):
            signal.signal(number, _ending_streams_first(handler))


def _ending_streams_first(handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], Any]:
    loop = asyncio.get_running_loop()

    def end_streams() -> None:
        """End them again and again: until the server closes its doors, pages come back, and others come."""
        end_all_streams()
        loop.call_later(0.05, end_streams)

    def handle(number: int, frame: FrameType | None) -> None:
        health.leave()
        loop.call_soon_threadsafe(end_streams)
        handler(number, frame)

    return handle


# WhiteNoise hands over files as they are; they are small, and read at once.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

application = StreamingASGIHandler()
