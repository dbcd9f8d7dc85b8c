"""A conversation as a whole: held by one request at a time, turned to another branch, renamed, deleted, told of.

Messages and answers within it are the business of ``chat.generation``.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, OuterRef

from chat import events, history, search
from chat.models import Conversation, Generation, Message, Status
from chat.refusals import ConversationBusyError, ConversationGoneError, MessageGoneError


def lock(conversation: Conversation) -> int | None:
    """Keep other verbs out of the conversation until the transaction ends; return the end of the shown branch.

    Raises:
        ConversationGoneError: it was deleted meanwhile.
    """
    # On SQLite, which locks no rows, the transaction itself keeps out all others that write.
    locked = Conversation.objects.select_for_update(no_key=True).filter(pk=conversation.pk)
    for leaf in locked.values_list("leaf", flat=True):
        return leaf
    raise ConversationGoneError


def hold(conversation: Conversation, message: Message | None = None) -> None:
    """Keep other verbs out of the conversation until the transaction ends.

    Raises:
        ConversationGoneError: it was deleted meanwhile.
        MessageGoneError: this message of it was.
        ConversationBusyError: its shown branch is no longer the one that the caller saw, or the answer at the end of
            that, or this one, is being written.
    """
    if lock(conversation) != conversation.leaf_id:
        raise ConversationBusyError
    own = {conversation.leaf_id} - {None}
    if message:
        if not Message.objects.filter(pk=message.pk).exists():
            raise MessageGoneError
        own.add(message.pk)
    if Generation.objects.unfinished().filter(pk__in=own).exists():
        raise ConversationBusyError


def show_branch(message: Message) -> None:
    """Show the branch that goes through the message, to its newest end.

    An answer that is being written on the branch that was shown goes on there.

    Raises:
        ConversationGoneError: it was deleted meanwhile.
        MessageGoneError: the message was.
    """
    with transaction.atomic():
        lock(message.conversation)
        if not Message.objects.filter(pk=message.pk).exists():
            raise MessageGoneError
        leaf = history.newest_below(message)
        Conversation.objects.filter(pk=message.conversation_id).update(leaf_id=leaf)


def rename_conversation(conversation: Conversation, title: str) -> None:
    """Give the conversation another title, and tell the owner's open pages.

    Raises:
        ConversationGoneError: it was deleted meanwhile.
    """
    # This column alone: what was read with it may be old by now, and must not be written back.
    own = Conversation.objects.filter(pk=conversation.pk)
    with transaction.atomic():
        lock(conversation)
        old = own.values_list("title", flat=True).get()
        own.update(title=title)
        conversation.title = title
        search.replace_title(conversation, old)
    publish_conversation(conversation)


def delete_conversation(conversation: Conversation) -> list[int]:
    """Delete the conversation and all that belongs to it, and tell the owner's open pages.

    Returns the ids of the answers that were being written. Harmless when somebody else was quicker.
    """
    pk = conversation.pk
    with transaction.atomic():
        try:
            lock(conversation)
        except ConversationGoneError:
            return []
        unfinished = Generation.objects.unfinished().filter(message__conversation=pk).order_by("pk")
        running = list(unfinished.values_list("pk", flat=True))
        # Whoever writes here stops first: what is written into a conversation that goes would outlive it.
        for answer in running:
            Generation.objects.filter(pk=answer).update(status=Status.CANCELLED)
        conversation.delete()
        channel, data = events.user_channel(conversation.owner_id), {"conversation": str(pk)}
        transaction.on_commit(lambda: events.publish(channel, "conversation.deleted", data))
    return running


def publish_conversation(conversation: Conversation) -> None:
    """Tell the owner's open pages the title, and whether an answer is being written, as they are now."""
    running = Generation.objects.unfinished().filter(message__conversation=OuterRef("pk"))
    rows = Conversation.objects.filter(pk=conversation.pk).annotate(running=Exists(running))
    # None where it was deleted meanwhile, of which nobody shall hear again.
    for title, is_running in rows.values_list("title", "running"):
        data = {"conversation": str(conversation.pk), "title": title, "running": is_running}
        events.publish(events.user_channel(conversation.owner_id), "conversation.updated", data)
