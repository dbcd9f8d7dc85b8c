"""A message and all that follows it, deleted."""

from __future__ import annotations

from django.db import transaction

from chat import events, history, search
from chat.conversations import lock, publish_conversation
from chat.models import Conversation, Generation, Message
from chat.refusals import ConversationBusyError
from chat.retention.holds import hold_on, lock_owner, set_aside

_BATCH = 500
"""Rows of one statement: no database has to take more parameters than it can."""


def delete_message(message: Message) -> int:
    """Delete the message with all that follows it on its branches; tell the open pages. Return how many are gone.

    Its other versions stay. If it was shown, the version before it is shown, or the one after it, or else the
    conversation ends where it was. Harmless when somebody else was quicker. What a legal hold keeps is hidden instead.

    Raises:
        ConversationBusyError: an answer that would go is being written.
        ConversationGoneError: the conversation was deleted meanwhile.
    """
    conversation = message.conversation
    with transaction.atomic():
        lock_owner(conversation.owner_id)
        leaf = lock(conversation)
        if not Message.objects.filter(pk=message.pk).exists():
            return 0
        gone = history.with_all_below(message)
        # The newest first: what follows a message goes before it, and nothing goes that was not counted.
        batches = _batches(sorted(gone, reverse=True))
        if any(Generation.objects.unfinished().filter(pk__in=batch).exists() for batch in batches):
            raise ConversationBusyError
        if leaf in gone:
            Conversation.objects.filter(pk=conversation.pk).update(leaf=_neighbour(message))
        is_held = hold_on(conversation) is not None
        for batch in batches:
            search.forget_messages(conversation, batch)
            if not is_held:
                Message.objects.filter(pk__in=batch).delete()
        if is_held:
            set_aside(conversation, gone)
        transaction.on_commit(lambda: _publish_deleted(message))
    return len(gone)


def _batches(ids: list[int]) -> list[list[int]]:
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]


def _neighbour(message: Message) -> int | None:
    """Return the end of the branch to show instead of the one through the message."""
    versions = history.siblings(message.conversation, [message])[message.pk]
    place = versions.index(message.pk)
    others = [*versions[:place][::-1], *versions[place + 1 :]]
    if not others:
        return message.parent_id
    return history.newest_below(Message(pk=others[0], conversation_id=message.conversation_id))


def _publish_deleted(message: Message) -> None:
    channel = events.conversation_channel(message.conversation_id)
    events.publish(channel, "message.deleted", {"message": message.pk, "parent": message.parent_id})
    publish_conversation(message.conversation)
