"""What reading a conversation gives, whatever its format, and what foreign formats share."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.utils.translation import gettext as _

from chat.titles import first_words
from chat.transfer import trees
from chat.transfer.shape import CarriedConversation, CarriedMessage
from chat.transfer.values import UnreadableError

_MARK = re.compile(r"[#*_`>\s]+")


@dataclass(frozen=True, slots=True)
class Reading:
    """A conversation in our shape, and what was mended or left out, in words."""

    conversation: CarriedConversation
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A conversation of another program, before its tree is put in order."""

    id: str | None
    title: str
    nodes: list[trees.Node]
    current: str | None
    """The node that was shown last."""
    created_at: datetime | None
    updated_at: datetime | None
    is_pinned: bool = False
    is_archived: bool = False
    notes: list[str]


def reading_of(foreign: Foreign) -> Reading:
    """Return the conversation in our shape.

    Raises:
        UnreadableError: it has no message that could be shown, or nothing by which it would be found again.
    """
    nodes, mendings = trees.ordered(foreign.nodes)
    times = [node.created_at for node in nodes if node.created_at]
    created = foreign.created_at or min(times, default=None) or foreign.updated_at or datetime.now(UTC)
    messages, shown = trees.as_turns(nodes, created)
    if not messages:
        raise UnreadableError(_("It has no messages."))
    current = shown.get(foreign.current or "") or messages[-1].id
    conversation = CarriedConversation(
        id=foreign.id or messages[0].id,
        title=foreign.title or title_of(messages),
        is_pinned=foreign.is_pinned,
        is_archived=foreign.is_archived,
        created_at=created,
        updated_at=foreign.updated_at or max(times, default=created),
        leaf=trees.newest_below(messages, current),
        messages=tuple(messages),
    )
    return Reading(conversation, foreign.notes + mendings)


def title_of(messages: list[CarriedMessage]) -> str:
    """Return the first words of the first question, for a conversation without a title."""
    first = next((message.content for message in messages if message.role == "user"), messages[0].content)
    words = " ".join(_MARK.sub(" ", first[:1000]).split())
    if not words:
        return _("Untitled")
    return first_words(words)


def fenced(code: str, language: str = "") -> str:
    """Return the code as a block of Markdown, whatever is in it."""
    longest = max((len(ticks) for ticks in re.findall("`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code.rstrip()}\n{fence}"
