"""A conversation as a whole: held by one request at a time, turned to another branch, renamed, told of.

Messages and answers within it are the business of ``chat.generation``; its place in the list that of
``chat.organising``, its end that of ``chat.retention.deleting``.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from chat import events, history, search
from chat.models import Conversation, Generation, Message, TitleFrom
from chat.refusals import ConversationBusyError, ConversationGoneError, MessageGoneError


def lock(conversation: Conversation) -> int | None:
    """Keep other verbs out of the conversation until the transaction ends; return the end of the shown branch.

    Raises:
        ConversationGoneError: it was deleted meanwhile.
    """
    # On SQLite, which locks no rows, the transaction itself keeps out all others that write.
    locked = Conversation.objects.kept().select_for_update(no_key=True).filter(pk=conversation.pk)
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
    """Give the conversation another title, which no backend will replace, and tell the owner's open pages.

    Raises:
        ConversationGoneError: it was deleted meanwhile.
    """
    # These columns alone: what was read with them may be old by now, and must not be written back.
    own = Conversation.objects.kept().filter(pk=conversation.pk)
    with transaction.atomic():
        lock(conversation)
        old = own.values_list("title", flat=True).first()
        if old is None:
            raise ConversationGoneError
        own.update(title=title, title_from=TitleFrom.PERSON)
        conversation.title = title
        search.replace_title(conversation, old)
    publish_conversation(conversation)


def publish_conversation(conversation: Conversation) -> None:
    """Tell the owner's open pages of the row in the list, as it is now."""
    publish_conversations([conversation.pk])


def publish_conversations(pks: Collection[UUID], event: str = "conversation.updated") -> None:
    """Tell the owners' open pages of these rows in the list, as they are now; one query, however many there are."""
    running = Generation.objects.unfinished().filter(message__conversation=OuterRef("pk"))
    # Without those that were deleted meanwhile, of which nobody shall hear again.
    rows = Conversation.objects.kept().filter(pk__in=pks).select_related("folder").annotate(is_running=Exists(running))
    events.publish_all(
        events.Message(
            events.user_channel(row.owner_id),
            event,
            {
                "conversation": str(row.pk),
                "title": row.title,
                "running": row.is_running,  # type: ignore[attr-defined]
                "pinned": row.is_pinned,
                "archived": row.is_archived,
                "folder": row.folder_id,
                "folder_name": row.folder.name if row.folder else "",
                "colour": row.folder.colour if row.folder else "",
                "updated": row.updated_at,
            },
        )
        for row in rows.order_by("updated_at")
    )
