"""Carries events between the processes of a site, by Redis. Without ``REDIS_URL`` there is one process, and no need.

Pages lose nothing with Redis, they only hear later: what was missed while it was away is fetched from the database.
A process hears of the channels alone that somebody watches there.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import random
import secrets
import threading
from collections import deque
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from chat.events.delivery import Encoded, deliver, forget, ring

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

logger = logging.getLogger(__name__)

WATCH_TIMEOUT = 0.25
"""Seconds that a page waits until its channels are subscribed to; without it, it may fetch the snapshot once more."""
CONNECT_TIMEOUT = 2.0
LONGEST_PAUSE = 2.0
"""Seconds between two tries to reach Redis, at most."""
MOST_UNSENT = 10_000
EVERYBODY = "*"
"""The channel that all processes listen to; what is said there is that events were lost."""


class Relay:
    """The events that leave this process, and those that come from the others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._origin = secrets.token_hex(8)
        self._unsent: deque[Encoded] = deque(maxlen=MOST_UNSENT)
        self._more: asyncio.Event | None = None
        self._pubsub: PubSub | None = None
        self._subscribed: set[str] = set()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._has_lost = False
        """Whether something that others should have heard was dropped."""

    @property
    def is_wanted(self) -> bool:
        """Whether the site has a Redis."""
        return bool(settings.REDIS_URL)

    @property
    def is_connected(self) -> bool:
        """Whether events reach the other processes at this moment."""
        return self._pubsub is not None

    def start(self) -> None:
        """Connect, in a thread of its own, and stay connected. Does nothing more when called again."""
        with self._lock:
            if self.is_wanted and (self._thread is None or not self._thread.is_alive()):
                started = threading.Event()
                self._thread = threading.Thread(target=self._run, args=(started,), name="relay", daemon=True)
                self._thread.start()
                started.wait()

    def stop(self) -> None:
        """Send what is left, and disconnect."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None:
            with suppress(RuntimeError):  # it ended by itself
                self._loop.call_soon_threadsafe(self._main_task.cancel)
            thread.join(5)

    def send(self, messages: Iterable[Encoded]) -> None:
        """Tell the other processes, soon. Where they cannot be told, their pages fetch the snapshot later."""
        if not self.is_wanted:
            return
        self.start()
        for message in messages:
            self._has_lost |= len(self._unsent) == MOST_UNSENT
            self._unsent.append(message)
        self._call_soon(lambda: self._more.set() if self._more else None)

    def watch(self, channels: Collection[str]) -> None:
        """Hear of these channels from now on. It waits a moment for that, but not for a Redis that is away."""
        if asked := self._ask_for(channels):
            with suppress(TimeoutError, concurrent.futures.CancelledError):
                asked.result(WATCH_TIMEOUT)

    async def awatch(self, channels: Collection[str]) -> None:
        """Do the same on an event loop."""
        if asked := self._ask_for(channels):
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_TIMEOUT):
                    await asyncio.wrap_future(asked)

    def unwatch_forgotten(self) -> None:
        """Hear no more of channels that are not remembered here any longer."""
        if self._loop is not None and (unwanted := self._subscribed - ring.channels() - {EVERYBODY}):
            self._call_soon(lambda: asyncio.ensure_future(self._unsubscribe(unwanted)))

    def _ask_for(self, channels: Collection[str]) -> concurrent.futures.Future[None] | None:
        if not self.is_wanted or self._subscribed.issuperset(channels):
            return None
        self.start()
        if self._loop is None or self._loop.is_closed():
            return None
        return asyncio.run_coroutine_threadsafe(self._subscribe(set(channels) - self._subscribed), self._loop)

    def _call_soon(self, do: Any) -> None:
        with suppress(RuntimeError):  # the loop was closed this moment
            if self._loop is not None:
                self._loop.call_soon_threadsafe(do)

    def _run(self, started: threading.Event) -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._main(started))

    async def _main(self, started: threading.Event) -> None:
        from redis.exceptions import RedisError  # 60 ms that a site without Redis need not spend

        self._loop = asyncio.get_running_loop()
        self._main_task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]
        self._more = asyncio.Event()
        started.set()
        pause = 0.1
        while True:
            try:
                await self._serve()
            except* (RedisError, OSError) as errors:
                if self.is_connected or pause == 0.1:
                    logger.warning("Redis is away, other processes hear nothing: %s", errors.exceptions[0])
            pause = 0.1 if self.is_connected else min(2 * pause, LONGEST_PAUSE)
            self._disconnected()
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - so that not all come at once

    async def _serve(self) -> None:
        """Connect, and carry events until the connection is lost."""
        from redis.asyncio import Redis

        async with (
            Redis.from_url(
                settings.REDIS_URL,
                decode_responses=True,
                socket_connect_timeout=CONNECT_TIMEOUT,
                socket_keepalive=True,
                health_check_interval=10,
            ) as redis,
            redis.pubsub() as pubsub,
        ):
            await pubsub.subscribe(self._name(EVERYBODY), *map(self._name, ring.channels()))
            self._pubsub = pubsub
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive(pubsub))
                group.create_task(self._send(redis))

    async def _receive(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=5.0)
            if message is None:
                continue
            channel = message["channel"].removeprefix(self._name(""))
            if message["type"] == "subscribe":
                self._confirm(channel)
            elif message["type"] == "message":
                self._hear(channel, message["data"])

    async def _send(self, redis: Redis) -> None:
        assert self._more is not None
        while True:
            await self._more.wait()
            self._more.clear()
            messages = list(self._unsent)
            self._unsent.clear()
            pipeline = redis.pipeline(transaction=False)
            if self._has_lost:
                pipeline.publish(self._name(EVERYBODY), self._origin)
            for message in messages:
                pipeline.publish(self._name(message.channel), f"{self._origin} {message.event}\n{message.data}")
            self._has_lost = True  # until we know that it arrived
            await pipeline.execute()
            self._has_lost = False

    def _hear(self, channel: str, text: str) -> None:
        head, _, data = text.partition("\n")
        origin, _, event = head.partition(" ")
        if origin == self._origin:
            return
        if channel == EVERYBODY:
            forget(ring.channels())
        else:
            deliver(Encoded(channel, event, data))

    async def _subscribe(self, channels: Collection[str]) -> None:
        """Ask Redis for these channels and wait until it says that we have them."""
        if self._pubsub is None:
            return
        futures = [self._waiting.setdefault(channel, asyncio.Future()) for channel in channels]
        with suppress(OSError):  # whoever serves the connection sees that, too
            await self._pubsub.subscribe(*map(self._name, channels))
            await asyncio.gather(*futures)

    async def _unsubscribe(self, channels: Collection[str]) -> None:
        self._subscribed -= set(channels)
        if self._pubsub is not None:
            with suppress(OSError):
                await self._pubsub.unsubscribe(*map(self._name, channels))

    def _confirm(self, channel: str) -> None:
        """Take note that we hear of the channel from now on; whatever was told there before may be incomplete."""
        self._subscribed.add(channel)
        if channel != EVERYBODY:
            forget([channel])
        elif self._has_lost and self._more is not None:
            self._more.set()
        if future := self._waiting.pop(channel, None):
            future.set_result(None)

    def _disconnected(self) -> None:
        self._pubsub = None
        self._subscribed.clear()
        for future in self._waiting.values():
            future.cancel()
        self._waiting.clear()

    def _name(self, channel: str) -> str:
        """Return the channel's name in Redis, which other sites may use, too."""
        return f"chatsite:{salted_hmac('chat.events.relay', settings.SECRET_KEY).hexdigest()[:12]}:{channel}"


relay = Relay()
