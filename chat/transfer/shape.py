"""What is carried of a conversation, and its JSON: the format that docs/export.md and schema.json describe."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

FORMAT = "chatsite-conversations"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedAnswer:
    """How an answer came to be."""

    status: str = "completed"
    finish_reason: str = ""
    error_code: str = ""
    assistant: str = ""
    """The slug of the assistant; empty where it is gone."""
    assistant_name: str = ""
    backend: str = ""
    model: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Without the system prompt, which is the administrators'."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal = Decimal(0)
    queued_at: datetime | None = None
    started_at: datetime | None = None
    first_delta_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedMessage:
    """A message, named within its conversation; parents come before their children."""

    id: str
    parent: str | None
    role: str
    content: str
    created_at: datetime
    answer: CarriedAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedConversation:
    """A conversation with all its branches."""

    id: str
    title: str
    assistant: str = ""
    is_pinned: bool = False
    is_archived: bool = False
    created_at: datetime
    updated_at: datetime
    leaf: str | None = None
    messages: tuple[CarriedMessage, ...] = ()

    @property
    def branches(self) -> int:
        """How many ends the tree has."""
        parents = {message.parent for message in self.messages}
        return sum(message.id not in parents for message in self.messages)


def as_data(conversation: CarriedConversation) -> dict[str, Any]:
    """Return the conversation as what JSON can hold, by the names of the format."""
    return {
        "id": conversation.id,
        "title": conversation.title,
        "assistant": conversation.assistant,
        "pinned": conversation.is_pinned,
        "archived": conversation.is_archived,
        "created_at": _moment(conversation.created_at),
        "updated_at": _moment(conversation.updated_at),
        "leaf": conversation.leaf,
        "messages": [_message_data(message) for message in conversation.messages],
    }


def as_json(conversation: CarriedConversation, *, indent: int | None = None) -> str:
    return json.dumps(as_data(conversation), ensure_ascii=False, indent=indent)


def head() -> str:
    """Return the beginning of a document, to be followed by conversations with commas between them and ``TAIL``."""
    facts = {"format": FORMAT, "version": VERSION, "exported_at": _moment(datetime.now(UTC))}
    return f'{json.dumps(facts)[:-1]}, "conversations": [\n'


TAIL = "\n]}\n"


def document(conversations: Iterable[CarriedConversation]) -> str:
    """Return a whole document, small enough to be held."""
    return head() + ",\n".join(as_json(conversation, indent=1) for conversation in conversations) + TAIL


def _message_data(message: CarriedMessage) -> dict[str, Any]:
    data: dict[str, Any] = {
        "id": message.id,
        "parent": message.parent,
        "role": message.role,
        "content": message.content,
        "created_at": _moment(message.created_at),
    }
    if message.answer:
        facts = asdict(message.answer)
        times = {name: _moment(value) for name, value in facts.items() if name.endswith("_at")}
        data["generation"] = {**facts, **times, "cost": f"{message.answer.cost.normalize():f}"}
    return data


def _moment(value: datetime | None) -> str | None:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value else None
