"""The web process's side of the engine service."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakSet

from backends.base import Finish, Stage, StreamEvent, TextDelta, Usage
from backends.exceptions import BackendTimeout, ChatBackendError, StreamInterrupted
from backends.transformers.connection import ServiceConnection
from backends.transformers.events import Confidence
from backends.transformers.place import ServicePlace
from backends.transformers.protocol import GenerateRequest, decode_error, encode_line, encode_request

ATTEMPTS = 3
"""How often a connection that ends as soon as it was made is made again."""

STATUS_SECONDS = 10.0
PROGRESS_STEP = 0.05
"""How much further loading must be to be worth another event."""


class Mailbox:
    """Where the events of one request arrive, on the event loop that asked."""

    def __init__(self, connection: ServiceConnection, engine: str) -> None:
        self.connection = connection
        self.engine = engine
        """The engine whose fate is shared; empty for what only the service has to do with."""
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.is_over = False

    async def next(self) -> Any:
        """Return what comes next, or raise it if it is an error."""
        item = await self.queue.get()
        if isinstance(item, ChatBackendError):
            self.is_over = True
            raise item
        return item


class EngineClient:
    """One connection at most, shared by all streams of this process, on whichever event loops and threads they run.

    The reader thread of the connection hands each message to the event loops that wait for a part of it, once per loop.
    """

    def __init__(self, place: ServicePlace) -> None:
        self._place = place
        self._mailboxes: dict[int, Mailbox] = {}
        self._ids = itertools.count(1)
        self._connection: ServiceConnection | None = None
        self._make_locks()
        _clients.add(self)

    async def stream(self, engine: str, request: GenerateRequest) -> AsyncGenerator[StreamEvent]:
        """Yield the events of one answer; closing the generator ends the work at the engine's next step.

        Raises:
            ChatBackendError: the service cannot be reached, or the engine failed, refused the request, or ended.
        """
        message = {"op": "generate", "engine": engine, "request": encode_request(request)}
        shown: Stage | None = None
        async with self._ask(message, engine) as mailbox:
            while not mailbox.is_over:
                event = await mailbox.next()
                mailbox.is_over = isinstance(event, Finish)
                if isinstance(event, Stage):
                    if not _is_news(event, shown):
                        continue
                    shown = event
                if request.confidence_tokens or not isinstance(event, Confidence):
                    yield event

    async def status(self) -> dict[str, Any]:
        """Return the service's figures, ``engines`` among them.

        Raises:
            NoService: none runs, and none is started for this.
        """
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                return await self._call({"op": "status"}, may_start=False)
        except TimeoutError as error:
            raise BackendTimeout(f"The engine service at {self._place.address} does not answer.") from error

    async def load(self, engine: str) -> None:
        """Wait until this engine is ready."""
        await self._call({"op": "load", "engine": engine}, engine)

    async def unload(self, engine: str) -> None:
        """End this engine, whatever it is doing, and wait until it is gone."""
        await self._call({"op": "unload", "engine": engine}, may_start=False)

    def close(self) -> None:
        """End the connection and all that was asked over it; the next request makes another one. Blocks."""
        with self._lock:
            connection = self._connection
        if connection:
            connection.close()

    async def _call(self, message: dict[str, Any], engine: str = "", *, may_start: bool = True) -> dict[str, Any]:
        async with self._ask(message, engine, may_start=may_start) as mailbox:
            while True:
                answer = await mailbox.next()
                if isinstance(answer, dict):
                    mailbox.is_over = True
                    return answer

    @asynccontextmanager
    async def _ask(self, message: dict[str, Any], engine: str, *, may_start: bool = True) -> AsyncGenerator[Mailbox]:
        """Send a request and keep its mailbox; tell the engine when nobody wants the answer any more."""
        place = self._place if may_start else replace(self._place, may_start=False)
        id_, mailbox = await self._post(message, engine, place)
        try:
            yield mailbox
        finally:
            with self._lock:
                self._mailboxes.pop(id_, None)
                if not mailbox.is_over:
                    _cancel(id_, mailbox)

    async def _post(self, message: dict[str, Any], engine: str, place: ServicePlace) -> tuple[int, Mailbox]:
        for _ in range(ATTEMPTS):
            connection = self._connection
            if connection is None:
                connection = await asyncio.to_thread(self._connect, place)
            with self._lock:
                if self._connection is connection:  # else it has ended meanwhile, and nobody would tell the mailbox
                    id_ = next(self._ids)
                    mailbox = self._mailboxes[id_] = Mailbox(connection, engine)
                    connection.send(encode_line({**message, "id": id_}))
                    return id_, mailbox
        raise StreamInterrupted("The engine service ends each connection.", hint="Its log says why.")

    def _connect(self, place: ServicePlace) -> ServiceConnection:
        with self._connecting:
            if connection := self._connection:
                return connection
            connection = ServiceConnection(place, self._on_message, self._on_close)
            with self._lock:
                self._connection = connection
            connection.start()
            return connection

    def _on_message(self, message: dict[str, Any]) -> None:
        self._deliver(self._items(message))

    def _on_close(self, connection: ServiceConnection) -> None:
        with self._lock:
            if self._connection is connection:
                self._connection = None
            error = StreamInterrupted("The connection to the engine service has ended.")
            self._deliver([(id_, error) for id_, box in self._mailboxes.items() if box.connection is connection])

    def _items(self, message: dict[str, Any]) -> Iterator[tuple[int, Any]]:
        """Yield the parts of a message, each with the id of its request."""
        for id_, name, position in message.get("stages", ()):
            yield id_, Stage(name, position)
        for id_, probability in message.get("confidence", ()):
            yield id_, Confidence(probability)
        for id_, text, reason, usage in message.get("events", ()):
            if text:
                yield id_, TextDelta(text)
            if reason:
                yield id_, Finish(reason, Usage(*usage) if usage else None)
        for id_, *error in message.get("errors", ()):
            yield id_, decode_error(*error)
        if "engine" in message:
            yield from self._news_of_engine(message)
        if "done" in message:
            yield message["done"]

    def _news_of_engine(self, message: dict[str, Any]) -> Iterator[tuple[int, Any]]:
        is_down = "down" in message
        with self._lock:
            meant = [id_ for id_, mailbox in self._mailboxes.items() if mailbox.engine == message["engine"]]
        for id_ in meant:
            if not is_down:
                yield id_, Stage("loading", progress=message["loading"])
            elif id_ <= message["upto"]:
                yield id_, decode_error(*message["down"])

    def _deliver(self, items: Iterable[tuple[int, Any]]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Mailbox, Any]]] = defaultdict(list)
        with self._lock:
            for id_, item in items:
                if mailbox := self._mailboxes.get(id_):
                    by_loop[mailbox.loop].append((mailbox, item))
        for loop, batch in by_loop.items():
            try:
                loop.call_soon_threadsafe(_put_all, batch)
            except RuntimeError:
                # That loop was closed without closing its streams: nobody will ever close them.
                self._abandon(loop)

    def _abandon(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            for id_, mailbox in list(self._mailboxes.items()):
                if mailbox.loop is loop:
                    del self._mailboxes[id_]
                    _cancel(id_, mailbox)

    def _make_locks(self) -> None:
        self._lock = threading.RLock()
        self._connecting = threading.Lock()
        """Held while a connection is made, which may take seconds; never taken on an event loop."""

    def _forget_parent(self) -> None:
        """Begin anew in a process that was forked: the connection and its threads are the parent's."""
        self._make_locks()
        self._mailboxes.clear()
        if self._connection:
            self._connection.drop_after_fork()
            self._connection = None


def _put_all(batch: list[tuple[Mailbox, Any]]) -> None:
    for mailbox, item in batch:
        mailbox.queue.put_nowait(item)


def _cancel(id_: int, mailbox: Mailbox) -> None:
    if mailbox.engine:
        mailbox.connection.send(encode_line({"op": "cancel", "id": id_, "engine": mailbox.engine}))


def _is_news(stage: Stage, shown: Stage | None) -> bool:
    if stage.name != "loading" or shown is None or shown.name != "loading" or shown.progress is None:
        return stage != shown
    return stage.progress is not None and abs(stage.progress - shown.progress) >= PROGRESS_STEP


_clients: WeakSet[EngineClient] = WeakSet()


def _forget_parent() -> None:
    for client in _clients:
        client._forget_parent()


os.register_at_fork(after_in_child=_forget_parent)
