"""An import is taken back: what it made goes, but for what somebody worked on since."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from chat import history, search
from chat.conversations import lock
from chat.models import Conversation, Generation, ImportBatch, ImportedConversation, Share
from chat.refusals import ConversationGoneError
from chat.retention.deleting import delete_conversations, erase_conversation
from chat.retention.holds import hold_on, set_aside
from chat.transfer.importing import for_seconds, hold_imports

Outcome, Status = ImportedConversation.Outcome, ImportBatch.Status


def undo_some(batch: ImportBatch, seconds: float) -> bool:
    """Undo the import of conversations of the batch for about so many seconds; True if none is left.

    An import that is not over ends with this. Kept is a conversation in which something was written, or that was
    renamed or shared, since; and messages below which something was written.
    """
    begun = ImportBatch.objects.filter(pk=batch.pk, status__in=(Status.IMPORTING, Status.IMPORTED, Status.UNDOING))
    if begun.update(status=Status.UNDOING) != 1:
        return True
    left = list(batch.items.to_undo().order_by("-position").values_list("pk", flat=True))
    for pk in for_seconds(seconds, left):
        _undo_one(batch, pk)
    if batch.items.to_undo().exists():
        return False
    batch.items.exclude(payload="").update(payload="")
    ImportBatch.objects.filter(pk=batch.pk, status=Status.UNDOING).update(status=Status.UNDONE)
    return True


@transaction.atomic
def _undo_one(batch: ImportBatch, pk: int) -> None:
    hold_imports(batch.owner)
    item = ImportedConversation.objects.to_undo().select_related("conversation__owner").filter(pk=pk).first()
    if item is None:  # another request was quicker
        return
    kept = _undo(item, item.conversation) if item.conversation else ""
    item.outcome = Outcome.KEPT if kept else Outcome.UNDONE
    if kept:
        item.notes.append(kept)
    else:
        item.conversation = None
    item.save()


def _undo(item: ImportedConversation, conversation: Conversation) -> str:
    """Take the conversation back, or what was added to it; return why it is kept, if it is."""
    try:
        lock(conversation)
    except ConversationGoneError:
        return ""
    is_held = hold_on(conversation) is not None
    if item.added:
        return _remove_messages(item, conversation, is_held=is_held)
    if kept := _why_kept(item, conversation):
        return kept
    if is_held:
        delete_conversations(conversation.owner, [conversation.pk])
    else:
        erase_conversation(conversation)
    return ""


def _why_kept(item: ImportedConversation, conversation: Conversation) -> str:
    if conversation.messages.count() != item.fresh or _is_writing(conversation):
        return _("Kept, as something was written in it since.")
    if conversation.title != item.title:
        return _("Kept, as it was renamed since.")
    if Share.objects.live().filter(conversation=conversation).exists():
        return _("Kept, as it is shared.")
    return ""


def _is_writing(conversation: Conversation) -> bool:
    return Generation.objects.unfinished().filter(message__conversation=conversation).exists()


def _remove_messages(item: ImportedConversation, conversation: Conversation, *, is_held: bool) -> str:
    """Delete the messages that were added, unless something was written below them."""
    added = conversation.messages.filter(pk__in=item.added)
    below = conversation.messages.filter(parent__in=added).exclude(pk__in=item.added)
    if below.exists() or Generation.objects.unfinished().filter(message__in=added).exists():
        return _("The new messages are kept, as something was written below them since.")
    shown = conversation.leaf_id
    search.forget_messages(conversation, item.added)
    if is_held:
        set_aside(conversation, item.added)
    else:
        added.delete()
    if shown in item.added:
        before = conversation.messages.filter(pk=item.leaf_before or 0).first() or conversation.messages.last()
        leaf = history.newest_below(before) if before else None
        Conversation.objects.filter(pk=conversation.pk).update(leaf_id=leaf)
    return ""
