"""Carries events between the processes of a site, by Redis. Without ``REDIS_URL`` there is one process, and no need.

Pages lose nothing with Redis, they only hear later: what was missed while it was away is fetched from the database.
A process hears of the channels alone that somebody watches there.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import logging
import random
import secrets
import threading
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings
from django.utils.crypto import salted_hmac

from chat.events import delivery
from chat.events.delivery import Encoded

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

logger = logging.getLogger(__name__)

WATCH_TIMEOUT = 0.25
"""Seconds that a page waits until its channels are subscribed to; without it, it may fetch the snapshot once more."""
TIMEOUT = 2.0
"""Seconds in which Redis has to accept a connection, or to take what is published."""
SILENCE = 2.0
"""Seconds without a word from Redis until it is asked whether it is there, and again until it counts as away."""
PAUSES = (0.1, 2.0)
"""The shortest and the longest time between two tries to reach Redis, in seconds."""
MOST_UNSENT = 5_000
"""Events that are kept while Redis is away; where there are more, the others are told that events were lost."""
AT_ONCE = 500
"""Events that are published together."""
LAST_WORDS = 1.0
"""Seconds for sending what is left when the process ends."""
EVERYBODY = "*"
"""The channel that all processes listen to; what is said there is that events were lost."""


class Pages(Protocol):
    """Who is told what comes: the module ``chat.events.delivery``, or what a test has in its place."""

    def deliver(self, message: Encoded) -> None: ...
    def forget(self, channels: Collection[str]) -> None: ...
    def remember(self, channels: Collection[str]) -> None: ...
    def remembered(self) -> set[str]: ...


class Relay:
    """The events that leave this process, and those that come from the others.

    A thread with an event loop holds the connections. Other threads hand over what is to be sent, and which channels
    they want to hear of, under the lock.
    """

    def __init__(self, pages: Pages = delivery) -> None:
        self._pages = pages
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._origin = self._prefix = ""
        self._is_connected = self._is_missed = False

        self._lock = threading.Lock()
        self._unsent: deque[Encoded] = deque()
        self._has_lost = False
        """Whether something that others should have heard was dropped."""
        self._is_in_doubt = False
        """Whether we do not know if what was published last arrived."""
        self._asked: dict[str, concurrent.futures.Future[None]] = {}
        """The channels that pages wait for."""
        self._has_unwatched = False

        self._subscribed: set[str] = set()
        """The channels of which Redis says that we hear them."""
        self._requested: set[str] = set()
        """The channels that Redis was asked for."""

    @property
    def is_wanted(self) -> bool:
        """Whether the site has a Redis."""
        return bool(settings.REDIS_URL)

    @property
    def is_connected(self) -> bool:
        """Whether events reach the other processes at this moment."""
        return self._is_connected

    def start(self) -> None:
        """Connect, in a thread of its own, and stay connected. Does nothing more when called again."""
        if not self.is_wanted or (self._thread is not None and self._thread.is_alive()):
            return
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            self._is_stopping = False
            # One for each process, also where one was forked from another.
            self._origin = secrets.token_hex(8)
            # Redis may be shared with other sites.
            self._prefix = f"chatsite:{salted_hmac('chat.events.relay', settings.SECRET_KEY).hexdigest()[:12]}:"
            self._loop = asyncio.new_event_loop()
            self._more, self._changed = asyncio.Event(), asyncio.Event()
            self._thread = threading.Thread(target=self._run, args=(self._loop,), name="relay", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Send what is left, if Redis takes it within a second, and disconnect."""
        with self._starting:
            thread = self._thread
            if thread is None:
                return
            # It stays ours until it is over: whoever publishes meanwhile must not start another one beside it.
            self._is_stopping = True
        self._wake(self._more)
        if self._is_connected or self._unsent:
            thread.join(LAST_WORDS)
        if thread.is_alive():
            self._call_soon(lambda: self._task and self._task.cancel())
            thread.join(5)

    def send(self, messages: Collection[Encoded]) -> None:
        """Tell the other processes, soon. Where they cannot be told, their pages fetch the snapshot later."""
        if not messages or not self.is_wanted:
            return
        self.start()
        with self._lock:
            self._unsent.extend(messages)
            while len(self._unsent) > MOST_UNSENT:
                self._unsent.popleft()
                self._has_lost = True
        self._wake(self._more)

    def watch(self, channels: Collection[str]) -> None:
        """Hear of these channels from now on. It waits a moment for that, but not for a Redis that is away."""
        concurrent.futures.wait(self._ask_for(channels), WATCH_TIMEOUT)

    async def awatch(self, channels: Collection[str]) -> None:
        """Do the same on an event loop."""
        if asked := self._ask_for(channels):
            await asyncio.wait(map(asyncio.wrap_future, asked), timeout=WATCH_TIMEOUT)

    def unwatch_forgotten(self) -> None:
        """Hear no more of channels that are not remembered here any longer."""
        if self._is_connected:
            self._has_unwatched = True
            self._wake(self._changed)

    def _ask_for(self, channels: Collection[str]) -> list[concurrent.futures.Future[None]]:
        """Ask for the channels that we do not hear; return what to wait for: nothing, where Redis is away."""
        if not self.is_wanted:
            return []
        # Before we look whether they are subscribed to: `_take_unwatched` looks in the opposite order.
        self._pages.remember(channels)
        if self._subscribed.issuperset(channels):
            return []
        self.start()
        with self._lock:
            asked = [self._asked.setdefault(channel, _new_future()) for channel in channels]
        self._wake(self._changed)
        return asked if self._is_connected else []

    def _wake(self, event: asyncio.Event) -> None:
        self._call_soon(event.set)

    def _call_soon(self, do: Any) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it was closed this moment
                self._loop.call_soon_threadsafe(do)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        shortest, longest = PAUSES
        pause = shortest
        while True:
            began = loop.time()
            try:
                await self._serve()
            except Exception as error:
                # Nobody would start this thread again.
                if strange := _strange(error):
                    logger.exception("The connection to Redis broke", exc_info=strange)
                elif not self._is_missed:
                    logger.warning("Redis is away, other processes hear nothing: %s", next(_causes(error)))
                self._is_missed = True
            finally:
                self._disconnected()
            if self._is_stopping:
                return
            pause = shortest if loop.time() - began > longest else min(2 * pause, longest)
            # Not all processes at the same moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311

    async def _serve(self) -> None:
        """Connect, and carry events until the connection is lost, or until all is said and we are to stop."""
        # 60 ms that a site without Redis need not spend.
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        async with (
            Redis.from_url(
                settings.REDIS_URL,
                protocol=2,
                decode_responses=True,
                encoding_errors="replace",
                socket_connect_timeout=TIMEOUT,
                socket_timeout=TIMEOUT,
                # A connection that comes back by itself would hide that events were missed.
                retry=Retry(NoBackoff(), 0),
            ) as redis,
            redis.pubsub() as pubsub,
        ):
            self._requested = {EVERYBODY, *self._pages.remembered()}
            await pubsub.subscribe(*map(self._name, self._requested))
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._receive(pubsub)), group.create_task(self._keep_subscribed(pubsub))]
                await self._send(redis)
                for task in tasks:
                    task.cancel()

    async def _receive(self, pubsub: PubSub) -> None:
        is_asked = False
        while True:
            message = await pubsub.get_message(timeout=SILENCE)
            if message is None:
                if is_asked:
                    raise TimeoutError("Redis does not answer")
                is_asked = True
                await pubsub.ping()
                continue
            is_asked = False
            channel = (message["channel"] or "").removeprefix(self._prefix)
            if message["type"] == "subscribe":
                self._confirm(channel)
            elif message["type"] == "message":
                self._hear(channel, message["data"])

    def _hear(self, channel: str, text: str) -> None:
        head, _, data = text.partition("\n")
        origin, _, event = head.partition(" ")
        if origin == self._origin:
            return
        if channel == EVERYBODY:
            self._pages.forget(self._pages.remembered())
        else:
            self._pages.deliver(Encoded(channel, event, data))

    async def _send(self, redis: Redis) -> None:
        while True:
            messages, has_lost = self._take_unsent()
            if messages or has_lost:
                self._is_in_doubt = True
                async with redis.pipeline(transaction=False) as pipeline:
                    if has_lost:
                        pipeline.publish(self._name(EVERYBODY), self._origin)
                    for message in messages:
                        pipeline.publish(self._name(message.channel), f"{self._origin} {message.event}\n{message.data}")
                    await pipeline.execute()
                self._is_in_doubt = False
            elif self._is_stopping:
                return
            else:
                await self._more.wait()
                self._more.clear()

    def _take_unsent(self) -> tuple[list[Encoded], bool]:
        with self._lock:
            messages = [self._unsent.popleft() for _ in range(min(len(self._unsent), AT_ONCE))]
            has_lost = self._has_lost or self._is_in_doubt
            self._has_lost = False
            return messages, has_lost

    async def _keep_subscribed(self, pubsub: PubSub) -> None:
        """Ask Redis for the channels that pages come to watch, and for no more of those that nobody watches."""
        while True:
            if self._has_unwatched:
                self._has_unwatched = False
                if unwatched := self._take_unwatched():
                    await pubsub.unsubscribe(*map(self._name, unwatched))
            with self._lock:
                asked = set(self._asked)
            for channel in asked & self._subscribed:
                self._answer(channel)
            if missing := asked - self._requested:
                self._requested |= missing
                await pubsub.subscribe(*map(self._name, missing))
            await self._changed.wait()
            self._changed.clear()

    def _take_unwatched(self) -> set[str]:
        """Return the channels that nobody watches here any more; they count as not subscribed to from now on."""
        unwatched = self._subscribed - {EVERYBODY} - self._pages.remembered()
        self._subscribed -= unwatched
        # Who watches one of them from now on sees that; who did a moment ago had it remembered first.
        again = unwatched & self._pages.remembered()
        self._subscribed |= again
        self._requested -= unwatched - again
        return unwatched - again

    def _confirm(self, channel: str) -> None:
        """Take note that we hear of the channel from now on; whatever was told there before may be incomplete."""
        self._subscribed.add(channel)
        if channel != EVERYBODY:
            self._pages.forget([channel])
        else:
            self._is_connected = True
            if self._is_missed:
                self._is_missed = False
                logger.info("Redis is back")
        self._answer(channel)

    def _answer(self, channel: str) -> None:
        with self._lock:
            future = self._asked.pop(channel, None)
        if future is not None:
            future.set_result(None)

    def _disconnected(self) -> None:
        self._is_connected = False
        self._subscribed, self._requested = set(), set()
        with self._lock:
            asked, self._asked = self._asked, {}
        for future in asked.values():
            future.set_result(None)

    def _name(self, channel: str) -> str:
        """Return the channel's name in Redis."""
        return f"{self._prefix}{channel}"


def _new_future() -> concurrent.futures.Future[None]:
    future: concurrent.futures.Future[None] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()  # several pages may wait for it: none may cancel it
    return future


def _strange(error: BaseException) -> BaseException | None:
    """Return what went wrong, if it is something else than that Redis is away or refuses us."""
    from redis.exceptions import RedisError

    return next((cause for cause in _causes(error) if not isinstance(cause, RedisError | OSError)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for cause in error.exceptions:
            yield from _causes(cause)
    else:
        yield error


relay = Relay()
# A command that publishes may end before the thread has connected.
atexit.register(relay.stop)
