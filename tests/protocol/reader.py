"""The reader of docs/streaming.md, as plain as it can be: what chat/static/chat/reader.js must agree with."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

UNFINISHED = {"queued", "in_progress"}


@dataclass
class Text:
    """The text of a message as far as it was heard."""

    text: str = ""
    end: float | None = None
    """The length that it has in the end; None while it is written."""
    ahead: list[tuple[int, str]] = field(default_factory=list)
    """Deltas before which something is missing."""
    heard_at: int = 0

    @property
    def is_over(self) -> bool:
        return self.end is not None

    @property
    def is_whole(self) -> bool:
        return not self.ahead and self.end in (None, len(self.text))

    def replace(self, text: str, *, is_over: bool) -> None:
        self.text, self.end, self.ahead = text, len(text) if is_over else None, []

    def read(self, offset: int, text: str) -> None:
        self.ahead.append((offset, text))
        while fitting := [delta for delta in self.ahead if delta[0] <= len(self.text)]:
            self.ahead.remove(fitting[0])
            offset, text = fitting[0]
            self.text += text[len(self.text) - offset :]
        if self.end is not None and len(self.text) > self.end:
            self.end = None

    def take(self, text: str, *, is_over: bool, asked_at: int) -> bool:
        """Take the text of a snapshot; False if another snapshot is needed."""
        if self.heard_at <= asked_at:
            self.replace(text, is_over=is_over)
            return True
        if text.startswith(self.text):
            self.read(0, text)
        elif not self.text.startswith(text):
            return False
        if self.end is not None and len(self.text) > self.end:  # the end of an earlier run
            self.end = len(text) if is_over else None
        return self.is_over == is_over


class Reader:
    """The shown branch of a conversation, from its events and snapshots."""

    def __init__(self) -> None:
        self.known: dict[int, Text] = {}
        """Every message that was heard of, on whatever branch."""
        self.branch: list[int] = []
        self.is_stale = False
        self.is_open = False
        self.is_gone = False
        self.now = 0
        self.turned_at = 0

    @property
    def texts(self) -> dict[int, str]:
        return {message: self.known[message].text for message in self.branch}

    @property
    def running(self) -> list[int]:
        return [message for message in self.branch if not self.known[message].is_over]

    @property
    def needs_snapshot(self) -> bool:
        return self.is_stale or not all(self.known[message].is_whole for message in self.branch)

    def hear(self, kind: str, data: dict | None = None) -> None:
        self.now += 1
        data = data or {}
        match kind:
            case "stream-reset" | "message.deleted":
                self.is_stale = True
            case "stream-open":
                self.is_stale |= self.is_open and bool(self.running)
                self.is_open = True
            case "conversation.deleted":
                self.is_gone = True
            case "message.created":
                self._created(data["message"], data["parent"], data["generation"])
            case _ if "message" in data:
                self._hear_of(kind, data["message"], data)

    def _created(self, message: int, parent: int | None, generation: str | None) -> None:
        if message in self.known:
            return
        if message < max(self.branch, default=0):  # heard late or again: ids grow, and the newest is shown
            self.known[message] = Text()
            return
        if parent is not None and parent not in self.branch:
            self.is_stale = True
            return
        # The text of a question is in no event.
        self.known[message] = Text(end=math.inf if generation is None else None)
        self.branch = [*self.branch[: self.branch.index(parent) + 1 if parent is not None else 0], message]
        self.turned_at = self.now

    def _hear_of(self, kind: str, message: int, data: dict) -> None:
        self.is_stale |= message not in self.known
        text = self.known.setdefault(message, Text())
        text.heard_at = self.now
        if kind == "message.delta":
            text.read(data["offset"], data["text"])
        elif kind == "message.finished":
            text.end = data["length"]
        elif kind == "message.continued":
            text.end = None

    def ask(self) -> int:
        """Return when a snapshot is asked for, to be handed over with it."""
        self.is_stale = False
        return self.now

    def fail(self) -> None:
        """No snapshot came."""
        self.is_stale = True

    def take(self, messages: list[dict], asked_at: int) -> None:
        ids = [message["id"] for message in messages]
        first = self.branch.index(ids[0]) if ids and ids[0] in self.branch else 0
        if self.turned_at <= asked_at:
            self.branch = [*self.branch[:first], *ids]
        elif self.branch[first:] != ids:
            self.is_stale = True
        for message in messages:
            text = self.known.setdefault(message["id"], Text())
            is_over = message["status"] not in UNFINISHED
            if not text.take(message["text"], is_over=is_over, asked_at=asked_at):
                self.is_stale = True
