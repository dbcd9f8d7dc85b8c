"""From what is carried to rows: the one place where an import makes conversations, messages and generations.

Many rows at once send no signals: whoever must know of every message, such as an index for a search, is told by
``messages_stored``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping

from django.dispatch import Signal

from chat.conversations import lock
from chat.models import Assistant, Conversation, Generation, Message, User
from chat.transfer.shape import CarriedAnswer, CarriedConversation, CarriedMessage

_ROWS = 500

messages_stored = Signal()
"""Sent in the transaction that stores them, with ``conversation`` and ``messages``, a list of saved rows."""


def key_of(conversation: uuid.UUID, name: str) -> uuid.UUID:
    """Return the key of a message that was imported into this conversation and is called so where it comes from."""
    return uuid.uuid5(conversation, f"import:{name}")


def store_conversation(owner: User, carried: CarriedConversation, assistants: Mapping[str, Assistant]) -> Conversation:
    """Make a conversation of the owner's with all its messages; the caller's transaction holds it together."""
    conversation = Conversation.objects.create(
        owner=owner,
        title=carried.title,
        assistant=assistants.get(carried.assistant),
        is_pinned=carried.is_pinned,
        is_archived=carried.is_archived,
        created_at=carried.created_at,
        updated_at=carried.updated_at,
    )
    stored = _store_messages(conversation, carried.messages, {}, assistants)
    leaf = stored.get(carried.leaf or "")
    Conversation.objects.filter(pk=conversation.pk).update(leaf=leaf)
    conversation.leaf = leaf
    return conversation


def add_messages(
    conversation: Conversation,
    carried: CarriedConversation,
    known: Mapping[str, int],
    assistants: Mapping[str, Assistant],
) -> list[int]:
    """Store the messages that the conversation has not got; return their ids.

    The branch that it shows grows, if it is the one that goes on; otherwise what is new makes other branches.

    Raises:
        ConversationGoneError: it was deleted meanwhile.
    """
    shown = lock(conversation)
    fresh = [message for message in carried.messages if message.id not in known]
    stored = _store_messages(conversation, fresh, known, assistants)
    updates: dict[str, object] = {"updated_at": max(conversation.updated_at, carried.updated_at)}
    above = _path(carried)
    if carried.leaf in stored and shown in {known.get(name) for name in above}:
        updates["leaf"] = stored[carried.leaf]
    Conversation.objects.filter(pk=conversation.pk).update(**updates)
    return sorted(message.pk for message in stored.values())


def _path(carried: CarriedConversation) -> set[str]:
    """Return the names of the messages from the shown end upwards."""
    parents = {message.id: message.parent for message in carried.messages}
    path: set[str] = set()
    name = carried.leaf
    while name is not None:
        path.add(name)
        name = parents.get(name)
    return path


def _store_messages(
    conversation: Conversation,
    carried: Iterable[CarriedMessage],
    known: Mapping[str, int],
    assistants: Mapping[str, Assistant],
) -> dict[str, Message]:
    carried = list(carried)
    rows = [
        Message(
            conversation=conversation,
            role=message.role,
            content=message.content,
            key=key_of(conversation.pk, message.id),
            created_at=message.created_at,
        )
        for message in carried
    ]
    # In the order in which parents come before their children, as their ids must. Only then are the ids known.
    Message.objects.bulk_create(rows, batch_size=_ROWS)
    stored = {message.id: row for message, row in zip(carried, rows, strict=True)}
    children = []
    for message, row in zip(carried, rows, strict=True):
        parent = stored.get(message.parent or "")
        row.parent_id = parent.pk if parent else known.get(message.parent or "")
        if row.parent_id is not None:
            children.append(row)
    Message.objects.bulk_update(children, ["parent"], batch_size=_ROWS)
    answers = [(stored[message.id], message.answer) for message in carried if message.answer]
    Generation.objects.bulk_create([_generation(row, answer, assistants) for row, answer in answers], batch_size=_ROWS)
    messages_stored.send(sender=Message, conversation=conversation, messages=rows)
    return stored


def _generation(message: Message, answer: CarriedAnswer, assistants: Mapping[str, Assistant]) -> Generation:
    return Generation(
        message=message,
        status=answer.status,
        finish_reason=answer.finish_reason,
        error_code=answer.error_code,
        assistant=assistants.get(answer.assistant),
        assistant_name=answer.assistant_name,
        backend=answer.backend,
        model=answer.model,
        parameters=answer.parameters,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cost=answer.cost,
        queued_at=answer.queued_at or message.created_at,
        started_at=answer.started_at,
        first_delta_at=answer.first_delta_at,
        finished_at=answer.finished_at,
        is_imported=True,
    )
