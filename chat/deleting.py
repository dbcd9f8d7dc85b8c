"""The end of conversations: deleted by their owner, who may restore them for a while, then purged for good.

What is deleted is nowhere to be found, whoever asks, from that moment on; only its owner sees it, in the list of what
they deleted lately. An administrator erases at once.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat import events, pieces, search, usage
from chat.conversations import publish_conversations
from chat.models import Conversation, Generation, Message, Status, User
from chat.querysets import ConversationQuerySet

PURGED_AT_ONCE = 300
"""How many rows one round of the runner purges: it has answers to look after meanwhile."""


class Deleted(NamedTuple):
    """What was deleted, and the answers that were being written there."""

    conversations: list[UUID]
    answers: list[int]


def delete_conversations(owner: User, pks: Collection[UUID]) -> Deleted:
    """Hide those of the conversations that are this person's from everybody; what was being written there ends.

    What an answer had so far is kept with it. They can be restored for ``CHAT_UNDO_SECONDS``. Harmless when somebody
    else was quicker.
    """
    with transaction.atomic():
        own = Conversation.objects.owned_by(owner).filter(pk__in=pks)
        # In one order, so that two requests never wait for each other.
        found = list(own.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
        answers = _end_answers(found)
        Conversation.objects.filter(pk__in=found).update(deleted_at=timezone.now())
        channel = events.user_channel(owner.pk)
        told = [events.Message(channel, "conversation.deleted", {"conversation": str(pk)}) for pk in found]
        transaction.on_commit(lambda: events.publish_all(told))
    return Deleted(found, answers)


def _end_answers(conversations: Collection[UUID]) -> list[int]:
    """Cancel what is being written in these conversations, with the text so far; tell nobody."""
    unfinished = Generation.objects.unfinished().filter(message__conversation__in=conversations)
    answers = list(unfinished.order_by("pk").values_list("pk", flat=True))
    now = timezone.now()
    # One by one, in the order in which others lock them.
    ended = [
        answer
        for answer in answers
        if Generation.objects.unfinished().filter(pk=answer).update(status=Status.CANCELLED, finished_at=now)
    ]
    pieces.fold(ended)
    related = ("conversation__owner", "generation__assistant")
    usage.record_all(Message.objects.select_related(*related).filter(pk__in=ended))
    return ended


def restore_conversations(owner: User, pks: Collection[UUID]) -> list[UUID]:
    """Put those of the deleted conversations that are not purged yet back to where they were; return which.

    The owner's open pages are told.
    """
    with transaction.atomic():
        gone = restorable(owner).filter(pk__in=pks)
        found = list(gone.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
        Conversation.objects.filter(pk__in=found).update(deleted_at=None)
        transaction.on_commit(lambda: publish_conversations(found, "conversation.restored"))
    return found


def restorable(owner: User) -> ConversationQuerySet:
    """Return what this person deleted so lately that it can be restored. The rest may be purged in part."""
    return Conversation.objects.deleted_by(owner).filter(deleted_at__gte=_undo_begins_at())


def _undo_begins_at() -> datetime:
    return timezone.now() - timedelta(seconds=settings.CHAT_UNDO_SECONDS)


def purge_deleted() -> None:
    """Erase some of what can no longer be restored, the oldest first: a bounded number of rows at a time."""
    room = PURGED_AT_ONCE
    over = Conversation.objects.filter(deleted_at__lt=_undo_begins_at()).order_by("deleted_at")
    for pk in list(over.values_list("pk", flat=True)[:PURGED_AT_ONCE]):
        if room > 0:
            room -= _purge(pk, room)


def _purge(pk: UUID, room: int) -> int:
    """Erase up to ``room`` of the messages of a conversation, and with the last one itself; return how many rows."""
    # A transaction of its own: nobody waits for long on a database that takes one writer at a time.
    with transaction.atomic():
        # The newest first: nothing that stays hangs on what goes.
        messages = Message.objects.filter(conversation=pk).order_by("-pk").values_list("pk", flat=True)
        newest = list(messages[:room])
        if conversation := Conversation.objects.filter(pk=pk).first():
            search.forget_messages(conversation, newest)
        Message.objects.filter(pk__in=newest).delete()
        if len(newest) < room:
            Conversation.objects.filter(pk=pk).delete()
    return len(newest) + 1


def erase_conversation(conversation: Conversation) -> list[int]:
    """Delete the conversation and all that belongs to it for good, and tell the owner's open pages.

    Returns the ids of the answers that were being written. Harmless when somebody else was quicker.
    """
    channel, data = events.user_channel(conversation.owner_id), {"conversation": str(conversation.pk)}
    with transaction.atomic():
        held = Conversation.objects.select_for_update(no_key=True).filter(pk=conversation.pk).first()
        if held is None:
            return []
        # Whoever writes here stops first: what is written into a conversation that goes would outlive it.
        answers = _end_answers([held.pk])
        held.delete()
        transaction.on_commit(lambda: events.publish(channel, "conversation.deleted", data))
    return answers
