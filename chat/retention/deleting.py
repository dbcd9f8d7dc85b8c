"""The end of conversations: deleted by their owner, who may restore them for a while, then purged for good.

What is deleted is nowhere to be found, whoever asks, from that moment on; only its owner sees it, in the list of what
they deleted lately. An administrator erases at once. What a legal hold keeps is hidden and never erased.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from chat import events, pieces, search, usage
from chat.conversations import publish_conversations
from chat.models import Conversation, Generation, Message, Status, User
from chat.querysets import ConversationQuerySet
from chat.retention import holds
from chat.retention import rules as retention

PURGED_AT_ONCE = 300
"""How many rows one round of the runner purges: it has answers to look after meanwhile."""


class Deleted(NamedTuple):
    """What was deleted, and the answers that were being written there."""

    conversations: list[UUID]
    answers: list[int]


def delete_conversations(owner: User, pks: Collection[UUID]) -> Deleted:
    """Hide those of the conversations that are this person's from everybody; what was being written there ends.

    What an answer had so far is kept with it. They can be restored for a while, see ``restorable``. Harmless when
    somebody else was quicker.
    """
    return _hide(Conversation.objects.owned_by(owner).filter(pk__in=pks))


def delete_untouched(due: ConversationQuerySet, limit: int) -> Deleted:
    """Hide up to ``limit`` of the conversations that a rule deletes, those that were not used for longest first.

    Their owners may restore them as if they had deleted them, and their open pages are told.
    """
    pks = list(due.order_by("updated_at").values_list("pk", flat=True)[:limit])
    # Asked for by the rule once more, under the lock: somebody may have written there a moment ago.
    return _hide(due.filter(pk__in=pks)) if pks else Deleted([], [])


def _hide(conversations: ConversationQuerySet) -> Deleted:
    with transaction.atomic():
        # In one order, so that two requests never wait for each other.
        held = conversations.select_for_update(no_key=True, of=("self",)).order_by("pk")
        owners = dict(held.values_list("pk", "owner"))
        found = list(owners)
        answers = _end_answers(found)
        Conversation.objects.filter(pk__in=found).update(deleted_at=timezone.now())
        told = [
            events.Message(events.user_channel(owner), "conversation.deleted", {"conversation": str(pk)})
            for pk, owner in owners.items()
        ]
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
        # That counts as a use: a rule that deleted them shall not do so again tomorrow.
        Conversation.objects.filter(pk__in=found).update(deleted_at=None, restored_at=timezone.now())
        transaction.on_commit(lambda: publish_conversations(found, "conversation.restored"))
    return found


def restorable(owner: User) -> ConversationQuerySet:
    """Return what this person deleted so lately that it can be restored. The rest may be purged in part."""
    seconds = retention.undo_seconds(owner)
    deleted = Conversation.objects.deleted_by(owner)
    return deleted if seconds is None else deleted.filter(deleted_at__gte=timezone.now() - timedelta(seconds=seconds))


class Purged(NamedTuple):
    """How much was erased."""

    rows: int
    conversations: int
    """Those of which the last row went."""


def purge_deleted(room: int | None = None) -> Purged:
    """Erase some of what can no longer be restored, the oldest first: a bounded number of rows at a time."""
    room = PURGED_AT_ONCE if room is None else room
    left, gone = room, 0
    for _due, over in retention.deleted_for_good(timezone.now()):
        for pk in list(over.order_by("deleted_at").values_list("pk", flat=True)[:left]):
            if left > 0:
                rows, is_gone = _purge(pk, left)
                left, gone = left - rows, gone + is_gone
    return Purged(room - left, gone)


def _purge(pk: UUID, room: int) -> tuple[int, bool]:
    """Erase up to ``room`` of the messages of a conversation, and with the last one itself.

    Return how many rows went, and whether all did. Nothing goes that a legal hold keeps, or that is there again.
    """
    # A transaction of its own: nobody waits for long on a database that takes one writer at a time.
    with transaction.atomic():
        holds.lock_owner(Conversation.objects.filter(pk=pk).values_list("owner", flat=True).first())
        deleted = Conversation.objects.filter(pk=pk, deleted_at__isnull=False)
        conversation = deleted.select_for_update(no_key=True).first()
        if conversation is None or holds.hold_on(conversation):
            return 1, False
        # The newest first: nothing that stays hangs on what goes.
        messages = Message.objects.filter(conversation=pk).order_by("-pk").values_list("pk", flat=True)
        newest = list(messages[:room])
        search.forget_messages(conversation, newest)
        Message.objects.filter(pk__in=newest).delete()
        if is_gone := len(newest) < room:
            Conversation.objects.filter(pk=pk).delete()
    return len(newest) + 1, is_gone


def erase_conversation(conversation: Conversation) -> list[int]:
    """Delete the conversation and all that belongs to it for good, and tell the owner's open pages.

    Returns the ids of the answers that were being written. Harmless when somebody else was quicker.

    Raises:
        HeldError: a legal hold keeps it.
    """
    channel, data = events.user_channel(conversation.owner_id), {"conversation": str(conversation.pk)}
    with transaction.atomic():
        holds.lock_owner(conversation.owner_id)
        held = Conversation.objects.select_for_update(no_key=True).filter(pk=conversation.pk).first()
        if held is None:
            return []
        # Whoever writes here stops first: what is written into a conversation that goes would outlive it.
        answers = _end_answers([held.pk])
        held.delete()
        transaction.on_commit(lambda: events.publish(channel, "conversation.deleted", data))
    return answers
