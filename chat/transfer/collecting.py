"""From rows to what is carried."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from uuid import UUID

from chat import pieces
from chat.models import Conversation, Generation, Message, Status, User
from chat.transfer.shape import CarriedAnswer, CarriedConversation, CarriedMessage

_AT_ONCE = 20
"""Conversations that are held at once while all are carried away."""


def carried(conversation: Conversation) -> CarriedConversation:
    """Return the conversation with all its branches; three queries, whatever its length."""
    return _carried(conversation, _messages([conversation.pk])[conversation.pk])


def all_carried(owner: User) -> Iterator[CarriedConversation]:
    """Yield all conversations of a person, the newest first; some queries for every twenty of them.

    No query stays open between two of them, so that each may be asked for from another thread.
    """
    own = Conversation.objects.owned_by(owner).select_related("assistant")
    for pks in _chunks(own.order_by("-updated_at", "pk").values_list("pk", flat=True)):
        rows = own.in_bulk(pks)
        messages = _messages(pks)
        for pk in pks:
            if pk in rows:  # or it was deleted meanwhile
                yield _carried(rows[pk], messages[pk])


def _chunks(pks: Iterable[UUID]) -> Iterator[list[UUID]]:
    every = list(pks)
    for start in range(0, len(every), _AT_ONCE):
        yield every[start : start + _AT_ONCE]


def _messages(conversations: list[UUID]) -> defaultdict[UUID, list[Message]]:
    # The pieces first: what is folded in between is then in both, as its offset tells, and never in neither.
    unfinished = Generation.objects.unfinished().filter(message__conversation__in=conversations)
    unfolded = pieces.texts(list(unfinished.values_list("pk", flat=True)))
    found: defaultdict[UUID, list[Message]] = defaultdict(list)
    rows = Message.objects.filter(conversation__in=conversations).select_related("generation__assistant")
    for message in rows.order_by("pk"):
        offset, text = unfolded.get(message.pk, (0, ""))
        message.content += text[len(message.content) - offset :]
        found[message.conversation_id].append(message)
    return found


def _carried(conversation: Conversation, messages: list[Message]) -> CarriedConversation:
    return CarriedConversation(
        id=str(conversation.pk),
        title=conversation.title,
        assistant=conversation.assistant.slug if conversation.assistant else "",
        is_pinned=conversation.is_pinned,
        is_archived=conversation.is_archived,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
        leaf=_name(conversation.leaf_id),
        messages=tuple(_message(message) for message in messages),
    )


def _message(message: Message) -> CarriedMessage:
    generation: Generation | None = getattr(message, "generation", None)
    return CarriedMessage(
        id=str(message.pk),
        parent=_name(message.parent_id),
        role=message.role,
        content=message.content,
        created_at=message.created_at,
        answer=_answer(generation) if generation else None,
    )


def _answer(generation: Generation) -> CarriedAnswer:
    is_over = not generation.is_running
    return CarriedAnswer(
        # Of an answer that is being written, what there is of it is carried.
        status=generation.status if is_over else Status.INCOMPLETE.value,
        finish_reason=generation.finish_reason if is_over else "interrupted",
        error_code=generation.error_code,
        assistant=generation.assistant.slug if generation.assistant else "",
        assistant_name=generation.assistant_name,
        backend=generation.backend,
        model=generation.model,
        parameters={name: value for name, value in generation.parameters.items() if name != "system_prompt"},
        input_tokens=generation.input_tokens,
        output_tokens=generation.output_tokens,
        cost=generation.cost,
        queued_at=generation.queued_at,
        started_at=generation.started_at,
        first_delta_at=generation.first_delta_at,
        finished_at=generation.finished_at,
    )


def _name(pk: int | None) -> str | None:
    return None if pk is None else str(pk)
