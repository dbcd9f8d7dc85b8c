"""Branches of a conversation: the path from a message back to the first one, and the turns beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from chat import pieces
from chat.models import Conversation, Message

_WINDOW = 100


class Step(NamedTuple):
    """A message on a path, without what only a page needs."""

    pk: int
    parent: int | None
    role: str
    content: str


def path(conversation: Conversation, newest: int | None, limit: int) -> list[Step]:
    """Return up to ``limit`` steps of the path that ends in the message ``newest``, oldest first.

    What it costs depends on the limit, not on the length of the conversation.
    """
    return list(islice(_upwards(conversation, newest), limit))[::-1]


def branch(conversation: Conversation, newest: int | None, limit: int) -> list[Message]:
    """Return the same path as messages with their generations and assistants, unfinished ones with all their text."""
    steps = path(conversation, newest, limit)
    # Before the content: a piece that is folded in between is then in both, as its offset tells, and never in neither.
    unfolded = pieces.texts([step.pk for step in steps])
    found = Message.objects.select_related("generation__assistant").in_bulk([step.pk for step in steps])
    messages = [found[step.pk] for step in steps if step.pk in found]
    for message in messages:
        message.conversation = conversation
        offset, text = unfolded.get(message.pk, (0, ""))
        message.content += text[len(message.content) - offset :]
    return messages


def _upwards(conversation: Conversation, newest: int | None) -> Iterator[Step]:
    """Yield the message ``newest`` and its ancestors.

    A parent has a smaller id than its child, so the rows just below the wanted one mostly are the path itself.
    """
    wanted = newest
    while wanted is not None:
        last = wanted
        window = conversation.messages.filter(pk__lte=wanted).order_by("-pk")
        for step in map(Step._make, window.values_list("pk", "parent_id", "role", "content")[:_WINDOW]):
            if step.pk == wanted:
                yield step
                wanted = step.parent
        if wanted == last:  # the row is gone
            return


def with_all_below(message: Message) -> set[int]:
    """Return the ids of a message and of all its descendants, on whatever branch."""
    found = {message.pk}
    rows = Message.objects.filter(conversation=message.conversation_id, pk__gt=message.pk).order_by("pk")
    for pk, parent in rows.values_list("pk", "parent_id"):
        if parent in found:
            found.add(pk)
    return found


def newest_below(message: Message) -> int:
    """Return the id of the newest descendant of a message, or its own: the end of the branch to show."""
    return max(with_all_below(message))


class Place(NamedTuple):
    """Which part of which branch to show, so that a message is seen."""

    newest: int
    is_end: bool
    """Whether that is the end of the branch."""
    is_shown: bool
    """Whether it is the branch that the conversation shows."""


def place_of(conversation: Conversation, message: Message, limit: int) -> Place:
    """Return where the message is in the middle of ``limit`` ones, or among the newest of them."""
    rows = conversation.messages.filter(pk__gte=message.pk)
    parents = dict(rows.values_list("pk", "parent_id"))
    shown = _down_from(message.pk, conversation.leaf_id, parents)
    path = shown or _down_from(message.pk, newest_below(message), parents)
    at = len(path) - 1 if len(path) <= limit else limit // 2
    return Place(path[at], at == len(path) - 1, bool(shown))


def _down_from(pk: int, leaf: int | None, parents: Mapping[int, int | None]) -> list[int]:
    """Return the path from the message to the leaf; empty if it is not above that."""
    path = []
    while leaf is not None and leaf in parents:
        path.append(leaf)
        if leaf == pk:
            return path[::-1]
        leaf = parents[leaf]
    return []


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
