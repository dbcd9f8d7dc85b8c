"""Branches of a conversation: the path from a message back to the first one, and the turns beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import QuerySet

from chat import pieces
from chat.models import Conversation, Message

_SPARE = 20
"""Rows of other branches that may lie between those of a path before it takes a second query."""


class Step(NamedTuple):
    """A message on a path, without what only a page needs."""

    pk: int
    parent: int | None
    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Neighbouring messages of a branch, as many as a page shows at once."""

    messages: list[Message]
    """Oldest first, with their generations and assistants, unfinished ones with all their text."""
    has_newer: bool
    is_live: bool
    """Whether it ends where the shown branch does: what is said next belongs below it."""
    is_shown: bool = True
    """Whether it is on the branch that the conversation shows."""

    @property
    def has_earlier(self) -> bool:
        return bool(self.messages) and self.messages[0].parent_id is not None


def path(conversation: Conversation, newest: int | None, limit: int) -> list[Step]:
    """Return up to ``limit`` steps of the path that ends in the message ``newest``, oldest first.

    What it costs depends on the limit, not on the length of the conversation.
    """
    rows = conversation.messages.values_list("pk", "parent_id", "role", "content")
    return [Step._make(row) for row in _upwards(rows, newest, limit)]


def branch(conversation: Conversation, newest: int | None, limit: int) -> list[Message]:
    """Return the same path as messages with their generations and assistants, unfinished ones with all their text."""
    return _messages(conversation, _ids(conversation, newest, limit))


def newest(conversation: Conversation, limit: int) -> Stretch:
    """Return the end of the shown branch."""
    return Stretch(messages=branch(conversation, conversation.leaf_id, limit), has_newer=False, is_live=True)


def before(conversation: Conversation, message: Message, limit: int) -> Stretch:
    """Return what was said just before the message."""
    return Stretch(messages=branch(conversation, message.parent_id, limit), has_newer=True, is_live=False)


def after(conversation: Conversation, message: Message, limit: int) -> Stretch:
    """Return what was said just after the message, on the shown branch or, if it is on another one, on its own."""
    following, is_shown = _onwards(conversation, message)
    found = _messages(conversation, following[:limit])
    has_newer = len(following) > limit
    return Stretch(messages=found, has_newer=has_newer, is_live=is_shown and not has_newer, is_shown=is_shown)


def around(conversation: Conversation, message: Message, limit: int) -> Stretch:
    """Return the message with what was said before and after it, on the branch that ``after`` goes on."""
    following, is_shown = _onwards(conversation, message)
    # Up to the end where that is near: what is said next can then be heard and answered.
    newer = following if len(following) < limit else following[: limit // 2]
    earlier = _ids(conversation, message.pk, limit - len(newer))
    has_newer = len(following) > len(newer)
    found = _messages(conversation, [*earlier, *newer])
    return Stretch(messages=found, has_newer=has_newer, is_live=is_shown and not has_newer, is_shown=is_shown)


def _ids(conversation: Conversation, newest: int | None, limit: int) -> list[int]:
    return [pk for pk, _ in _upwards(conversation.messages.values_list("pk", "parent_id"), newest, limit)]


def _messages(conversation: Conversation, ids: Sequence[int]) -> list[Message]:
    """Return these messages in this order, without those that were deleted meanwhile."""
    # Before the content: a piece that is folded in between is then in both, as its offset tells, and never in neither.
    unfolded = pieces.texts(ids)
    found = Message.objects.select_related("generation__assistant").in_bulk(ids)
    messages = [found[pk] for pk in ids if pk in found]
    for message in messages:
        message.conversation = conversation
        offset, text = unfolded.get(message.pk, (0, ""))
        message.content += text[len(message.content) - offset :]
    return messages


def _upwards(rows: QuerySet[Message, Any], newest: int | None, limit: int) -> list[Any]:
    """Return up to ``limit`` rows on the path up from the message ``newest``, oldest first; a row is id, parent, more.

    A parent has a smaller id than its child, so the rows just below the wanted one mostly are the path itself. Where
    they are of other branches, each query looks twice as far.
    """
    found: list[Any] = []
    wanted = newest
    window = limit + _SPARE
    while wanted is not None and len(found) < limit:
        last = wanted
        for row in rows.filter(pk__lte=wanted).order_by("-pk")[:window]:
            if row[0] == wanted and len(found) < limit:
                found.append(row)
                wanted = row[1]
        if wanted == last:  # the row is gone
            break
        window *= 2
    return found[::-1]


def _onwards(conversation: Conversation, message: Message) -> tuple[list[int], bool]:
    """Return the ids after the message, oldest first, on the shown branch or else on its own, and whether it is shown.

    One query of two numbers for each message that is newer.
    """
    parents = dict(_newer(conversation.pk, message.pk))
    following = _climb(parents, conversation.leaf_id)
    end = parents[following[0]] if following else conversation.leaf_id
    if end == message.pk:
        return following, True
    return _climb(parents, max(_all_below(parents, message.pk))), False


def _newer(conversation: Any, message: int) -> QuerySet[Message, tuple[int, int | None]]:
    rows = Message.objects.filter(conversation=conversation, pk__gt=message).order_by("pk")
    return rows.values_list("pk", "parent_id")


def _climb(parents: dict[int, int | None], leaf: int | None) -> list[int]:
    """Return the path up from the leaf as far as it is known, oldest first."""
    found = []
    while leaf is not None and leaf in parents:
        found.append(leaf)
        leaf = parents[leaf]
    return found[::-1]


def _all_below(parents: dict[int, int | None], message: int) -> set[int]:
    found = {message}
    for pk, parent in parents.items():
        if parent in found:
            found.add(pk)
    return found


def with_all_below(message: Message) -> set[int]:
    """Return the ids of a message and of all its descendants, on whatever branch."""
    return _all_below(dict(_newer(message.conversation_id, message.pk)), message.pk)


def newest_below(message: Message) -> int:
    """Return the id of the newest descendant of a message, or its own: the end of the branch to show."""
    return max(with_all_below(message))


def siblings(conversation: Conversation, messages: Iterable[Message]) -> dict[int, list[int]]:
    """Return, for each of the messages, the ids of the messages with the same parent, itself included."""
    parents = {message.pk: message.parent_id for message in messages}
    rows = conversation.messages.filter(parent__in=set(parents.values()) - {None})
    if None in parents.values():
        rows = rows | conversation.messages.filter(parent=None)
    families: dict[int | None, list[int]] = {}
    for pk, parent in rows.order_by("pk").values_list("pk", "parent_id"):
        families.setdefault(parent, []).append(pk)
    return {pk: families.get(parent, [pk]) for pk, parent in parents.items()}
