"""Branches of a conversation: the path from a message back to the first one, and the turns beside it."""

from __future__ import annotations

from collections.abc import Iterator

from chat.models import Conversation, Message

_WINDOW = 100


def branch(conversation: Conversation, newest: int | None, limit: int) -> list[Message]:
    """Return up to ``limit`` messages of the path that ends in the message ``newest``, oldest first.

    What it costs depends on the limit, not on the length of the conversation.
    """
    path: list[Message] = []
    for message in _upwards(conversation, newest):
        path.append(message)
        if len(path) >= limit:
            break
    return path[::-1]


def _upwards(conversation: Conversation, newest: int | None) -> Iterator[Message]:
    """Yield the message ``newest`` and its ancestors.

    A parent has a smaller id than its child, so the rows just below the wanted one mostly are the path itself.
    """
    wanted = newest
    while wanted is not None:
        window = conversation.messages.filter(pk__lte=wanted).order_by("-pk")
        found = wanted
        for message in window.select_related("generation__assistant")[:_WINDOW]:
            if message.pk == wanted:
                message.conversation = conversation
                yield message
                wanted = message.parent_id
        if wanted == found:  # the row is gone
            return


def newest_below(message: Message) -> Message:
    """Return the newest descendant of a message, or the message itself: the end of the branch to show."""
    descendants = {message.pk}
    newest = message.pk
    rows = Message.objects.filter(conversation=message.conversation_id, pk__gt=message.pk).order_by("pk")
    for pk, parent in rows.values_list("pk", "parent_id"):
        if parent in descendants:
            descendants.add(pk)
            newest = pk
    return Message.objects.get(pk=newest)


def siblings(conversation: Conversation, messages: list[Message]) -> dict[int, list[int]]:
    """Return, for each of the messages, the ids of the messages with the same parent and role, itself included."""
    parents = {message.parent_id for message in messages}
    rows = conversation.messages.filter(parent__in=parents - {None})
    if None in parents:
        rows = rows | conversation.messages.filter(parent=None)
    families: dict[int | None, list[int]] = {}
    for pk, parent in rows.order_by("pk").values_list("pk", "parent_id"):
        families.setdefault(parent, []).append(pk)
    return {message.pk: families.get(message.parent_id, [message.pk]) for message in messages}
