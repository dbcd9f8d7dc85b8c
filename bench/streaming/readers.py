"""People who read: each asks for an answer, reads it to its end and checks it."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from bench.streaming.answers import Answer
from bench.streaming.connections import Stream, exchange, open_stream, request_bytes
from bench.streaming.meter import Meter
from bench.streaming.pace import Order
from bench.streaming.wire import Event

BREAK_SECONDS = 0.7
"""How long a stream lasts that is broken on purpose, and then how long its reader is away."""
AWAY_SECONDS = 0.1
CSRF = "t" * 32


class ReadingFailed(Exception):
    """An answer did not come as it should."""


class Reader(Protocol):
    """Somebody who reads one stream."""

    async def open(self) -> None:
        """Do what a page does when it is loaded."""

    async def ask(self, order: Order) -> None:
        """Ask, and read the answer to its end."""

    async def hold(self, order: Order) -> None:
        """Open a stream on which nothing happens."""

    def close(self) -> None:
        """Hang up."""


class PlainReader:
    """Reads answers that are the response to the request that asks for them."""

    def __init__(self, port: int, path: str, meter: Meter) -> None:
        self._port, self._path, self._meter = port, path, meter
        self._stream: Stream | None = None

    async def open(self) -> None:
        """There is no page."""

    async def ask(self, order: Order) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answer, begun = Answer(), time.monotonic()

        def hear(event: Event) -> None:
            if event.name == b"done":
                _succeed(done)
                return
            text = answer.add(answer.length, json.loads(event.data)["text"])
            self._meter.take(text, begun, is_first=answer.length == len(text))

        await self._open(order, hear, lambda: _fail(done, "the stream ended early"))
        try:
            await done
        finally:
            self.close()
        self._meter.close(answer, order.tokens)

    async def hold(self, order: Order) -> None:
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._open(order, lambda event: _succeed(opened), lambda: _fail(opened, "the stream ended early"))
        await opened

    async def _open(self, order: Order, heard: Callable[[Event], None], ended: Callable[[], None]) -> None:
        request = request_bytes("GET", f"{self._path}?order={quote(str(order))}")
        self._stream = await open_stream(self._port, request, heard, ended)

    def close(self) -> None:
        if self._stream:
            self._stream.abort()


class Tab:
    """Reads answers as a page of the site does: one event stream, questions by POST, the resume rule."""

    def __init__(self, port: int, person: tuple[str, str], assistant: str, meter: Meter) -> None:
        session, conversation = person
        self._port, self._assistant, self._meter = port, assistant, meter
        self._headers = {"Cookie": f"sessionid={session}; csrftoken={CSRF}", "X-CSRFToken": CSRF}
        self._paths = {name: f"/c/{conversation}/{name}/" for name in ("events", "messages")}
        self._stream: Stream | None = None
        self._opened: asyncio.Future[None] | None = None
        self._last_id = ""
        self._message = self._last_message = 0
        self._answer = Answer()
        self._begun = 0.0
        self._done: asyncio.Future[None] | None = None
        self._mending: asyncio.Task[None] | None = None
        self._is_finished = False

    async def open(self) -> None:
        if not self._last_id:
            # A page is rendered with its place in the channels, so that it misses nothing, whenever its stream breaks.
            self._last_id = (await self._snapshot())["event_id"]
        await self._listen()

    async def _listen(self) -> None:
        self._opened = asyncio.get_running_loop().create_future()
        headers = self._headers | ({"Last-Event-ID": self._last_id} if self._last_id else {})
        request = request_bytes("GET", self._paths["events"], headers)
        self._stream = await open_stream(self._port, request, self._hear, self._end)
        await self._opened

    async def hold(self, order: Order) -> None:
        await self._listen()

    async def ask(self, order: Order) -> None:
        self._last_message = max(self._message, self._last_message)
        self._message, self._answer, self._is_finished = 0, Answer(), False
        self._done = asyncio.get_running_loop().create_future()
        self._begun = time.monotonic()
        await self._send(order)
        await self._done
        self._meter.close(self._answer, order.tokens)

    def close(self) -> None:
        if self._stream:
            self._stream.abort()

    async def break_often(self) -> None:
        """Lose the connection again and again, and come back where it was lost."""
        while True:
            await asyncio.sleep(BREAK_SECONDS)
            self.close()
            self._meter.breaks += 1
            await asyncio.sleep(AWAY_SECONDS)
            await self._listen()

    async def _send(self, order: Order) -> None:
        form = urlencode({"content": str(order), "key": str(uuid.uuid4()), "assistant": self._assistant})
        headers = self._headers | {"Content-Type": "application/x-www-form-urlencoded", "Connection": "close"}
        status, body = await exchange(self._port, request_bytes("POST", self._paths["messages"], headers, form))
        if status != 201:
            raise ReadingFailed(f"sending: {status} {' '.join(body.decode(errors='replace').split())[:150]}")

    def _hear(self, event: Event) -> None:
        if event.id:
            self._last_id = event.id.decode()
        match event.name:
            case b"message.delta":
                self._take_delta(json.loads(event.data))
            case b"message.created":
                created = json.loads(event.data)
                if created["role"] == "assistant":
                    self._message = created["message"]
            case b"message.finished":
                self._finish(json.loads(event.data))
            case b"stream-open":
                if self._opened:
                    _succeed(self._opened)
            case b"stream-reset":
                self._mend()

    def _take_delta(self, delta: dict[str, object]) -> None:
        if delta["message"] != self._message:
            return
        known = self._answer.length
        text = self._answer.add(delta["offset"], delta["text"])  # type: ignore[arg-type]
        self._meter.take(text, self._begun, is_first=not known)
        if self._answer.has_gap:
            self._mend()

    def _finish(self, finished: dict[str, object]) -> None:
        if finished["message"] != self._message or self._done is None:
            return
        if finished["status"] != "completed":
            _fail(self._done, f"the answer is {finished['status']} {finished.get('error') or ''}")
        self._answer.end(finished["length"])  # type: ignore[arg-type]
        self._is_finished = True
        self._mend() if self._answer.has_gap else _succeed(self._done)

    def _end(self) -> None:
        for waiting in (self._opened, self._done):
            if waiting is not None:
                _fail(waiting, "the event stream ended")

    def _mend(self) -> None:
        """Fetch the snapshot, unless one is on its way."""
        if self._mending is None or self._mending.done():
            self._mending = asyncio.create_task(self._fetch_snapshot())

    async def _fetch_snapshot(self) -> None:
        self._meter.snapshots += 1
        messages = (await self._snapshot())["messages"]
        if messages and messages[-1]["role"] == "assistant" and messages[-1]["id"] > self._last_message:
            self._message = messages[-1]["id"]
            self._answer.replace(messages[-1]["text"])
            self._is_finished |= messages[-1]["status"] == "completed"
        if self._answer.has_gap:
            await self._fetch_snapshot()
        elif self._is_finished and self._done is not None:
            _succeed(self._done)

    async def _snapshot(self) -> dict[str, Any]:
        headers = self._headers | {"Connection": "close"}
        status, body = await exchange(self._port, request_bytes("GET", self._paths["messages"], headers))
        if status != 200:
            raise ReadingFailed(f"snapshot: {status}")
        snapshot: dict[str, Any] = json.loads(body)
        return snapshot


def _succeed(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], reason: str) -> None:
    if not future.done():
        future.set_exception(ReadingFailed(reason))


@dataclass(frozen=True, slots=True)
class Span:
    """When somebody begins to ask, when they ask no more, and how many seconds they give an answer."""

    begin: float
    until: float
    patience: float


async def talk(reader: Reader, order: Order, meter: Meter, span: Span) -> None:
    """Ask one question after the other; the last answer is read to its end."""
    await asyncio.sleep(max(0.0, span.begin - time.monotonic()))
    while time.monotonic() < span.until:
        try:
            async with asyncio.timeout(span.patience):
                await reader.ask(order)
        except TimeoutError:
            meter.failures["an answer was not over in time"] += 1
            return
        except (ReadingFailed, OSError) as error:
            meter.failures[str(error)[:200]] += 1
            await asyncio.sleep(0.5)
            reader.close()
            with suppress(ReadingFailed, OSError):
                await reader.open()
