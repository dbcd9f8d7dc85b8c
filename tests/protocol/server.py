"""The server's side of the protocol without a database: texts in memory, everything between them and the bytes real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from uuid import UUID

from django.test import RequestFactory
from django_eventstream.views import get_listener_manager

from chat import events
from chat.events import RingStorage
from chat.events.streams import PageListener

CONVERSATION = UUID(int=1)
CHANNEL = events.conversation_channel(CONVERSATION)
LIST = events.user_channel(1)
OWNER = SimpleNamespace(pk=1, password="", sessions_ended=0)
UNFINISHED = {"queued", "in_progress"}
PAGE = 8
"""Messages in a snapshot."""


def with_empty_ring(monkeypatch) -> None:
    monkeypatch.setattr(RingStorage, "_rings", type(RingStorage._rings)())


def evict(channel: str) -> None:
    """Let the channel make room for others."""
    RingStorage._rings.pop(channel, None)


def restart() -> None:
    RingStorage._rings.clear()


@dataclass
class Stored:
    """A message's row, and its generation's."""

    parent: int | None
    text: str = ""
    status: str | None = "queued"

    @property
    def is_unfinished(self) -> bool:
        return self.status in UNFINISHED


@dataclass
class Server:
    """What chat.generation does to messages: each verb stores and then publishes."""

    messages: dict[int, Stored] = field(default_factory=dict)
    leaf: int | None = None

    @property
    def branch(self) -> list[int]:
        ids, at = [], self.leaf
        while at is not None:
            ids.append(at)
            at = self.messages[at].parent
        return ids[::-1]

    def ask(self, text: str, parent: int | None) -> int:
        """Store a question and an empty answer to it; with an earlier parent it is an edit, which begins a branch."""
        question = self._create(parent, text, None)
        return self._show(self._create(question, "", "queued"), [question])

    def regenerate(self, answer: int) -> int:
        return self._show(self._create(self.messages[answer].parent, "", "queued"), [])

    def _create(self, parent: int | None, text: str, status: str | None) -> int:
        message = len(self.messages) + 1
        self.messages[message] = Stored(parent, text, status)
        return message

    def _show(self, answer: int, before: list[int]) -> int:
        self.leaf = answer
        for message in [*before, answer]:
            stored = self.messages[message]
            role = "user" if stored.status is None else "assistant"
            data = {"message": message, "parent": stored.parent, "role": role, "generation": stored.status}
            events.publish(CHANNEL, "message.created", data)
        return answer

    def stage(self, message: int) -> None:
        data = {"message": message, "stage": "reading", "position": None, "progress": None}
        events.publish(CHANNEL, "generation.stage", data)

    def append(self, message: int, text: str, *, publish: bool = True) -> tuple[str, dict]:
        stored = self.messages[message]
        data = {"message": message, "offset": len(stored.text), "text": text}
        stored.text += text
        stored.status = "in_progress"
        if publish:
            events.publish(CHANNEL, "message.delta", data)
        return "message.delta", data

    def end(self, message: int, status: str) -> None:
        stored = self.messages[message]
        stored.status = status
        data = {"message": message, "status": status, "finish_reason": "", "error": "", "length": len(stored.text)}
        events.publish(CHANNEL, "message.finished", data | {"usage": {"input_tokens": None, "output_tokens": None}})
        data = {"conversation": str(CONVERSATION), "title": "", "running": False}
        events.publish(LIST, "conversation.updated", data)

    def resume(self, message: int) -> None:
        self.messages[message].status = "queued"
        events.publish(CHANNEL, "message.continued", {"message": message, "status": "queued"})

    def snapshot(self) -> dict:
        event_id = events.current_event_id([LIST, CHANNEL])
        shown = [(message, self.messages[message]) for message in self.branch[-PAGE:]]
        return {
            "event_id": event_id,
            "messages": [
                {"id": message, "parent": stored.parent, "text": stored.text, "status": stored.status}
                for message, stored in shown
            ],
        }


class Connection:
    """One response of the event stream, read as far as a test wants."""

    def __init__(self, chunks: AsyncIterator[bytes], listener: PageListener) -> None:
        self._chunks, self._listener = chunks, listener
        self._pull: asyncio.Task[bytes] | None = None

    @classmethod
    async def open(
        cls, last_event_id: str = "", *, channels: tuple[str, ...] = (LIST, CHANNEL), by_url: bool = False
    ) -> tuple[Connection, bytes]:
        """Return the connection and what it begins with: the opening, and what was missed."""
        if by_url:
            request = RequestFactory().get("/events/", {"lastEventId": last_event_id})
        else:
            headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
            request = RequestFactory().get("/events/", headers=headers)
        request.session = SimpleNamespace(session_key="")
        others = cls._listeners()
        chunks = aiter(await events.event_response(request, OWNER, channels))
        first = await anext(chunks)
        (listener,) = cls._listeners() - others
        connection = cls(chunks, listener)
        return connection, first + await connection.read()

    @staticmethod
    def _listeners() -> set[PageListener]:
        return set(get_listener_manager().listeners_by_channel.get(CHANNEL, ()))

    async def read(self) -> bytes:
        """Return what the server writes until it waits for something to happen."""
        body = b""
        while not self._is_waiting():
            self._pull = self._pull or asyncio.create_task(anext(self._chunks))
            await asyncio.wait({self._pull}, timeout=0.0005)
            if self._pull.done():
                body += self._pull.result()
                self._pull = None
        return body

    def _is_waiting(self) -> bool:
        waiter = self._listener._waiter
        return self._pull is not None and bool(waiter and not waiter.done()) and not self._listener.channel_items

    async def close(self) -> None:
        if self._pull:
            self._pull.cancel()
            await asyncio.wait({self._pull})
        await self._chunks.aclose()
        await asyncio.sleep(0)
