"""What was read becomes conversations: some seconds at a time, each conversation in one transaction.

What was done stays done, whatever happens to the rest, and any process can go on with it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping

from django.db import transaction
from django.utils.translation import gettext as _

from backends import chat_backends
from chat.models import Assistant, Conversation, ImportBatch, ImportedConversation, User
from chat.refusals import ConversationGoneError
from chat.transfer.formats import own
from chat.transfer.matching import Candidate, Match, matches
from chat.transfer.reports import plan
from chat.transfer.storing import add_messages, store_conversation

Plan, Outcome, Status = ImportedConversation.Plan, ImportedConversation.Outcome, ImportBatch.Status


def import_some(batch: ImportBatch, seconds: float) -> bool:
    """Import conversations of the batch for about so many seconds; True if none is left."""
    begun = ImportBatch.objects.filter(pk=batch.pk, status__in=(Status.READY, Status.IMPORTING))
    if begun.update(status=Status.IMPORTING) != 1:
        return True
    usable = Assistant.objects.usable_by(batch.owner, chat_backends)
    assistants = {assistant.slug: assistant for assistant in usable}
    left = list(batch.items.to_import().order_by("position").values_list("pk", flat=True))
    for pk in for_seconds(seconds, left):
        _import_one(batch.owner, pk, assistants)
    if batch.items.to_import().exists():
        return False
    ImportBatch.objects.filter(pk=batch.pk, status=Status.IMPORTING).update(status=Status.IMPORTED)
    return True


def for_seconds(seconds: float, pks: Iterable[int]) -> Iterator[int]:
    """Yield the first of these and, until so many seconds are over, the others."""
    end = time.monotonic() + seconds
    for pk in pks:
        yield pk
        if time.monotonic() > end:
            return


def hold_imports(owner: User) -> None:
    """Keep other imports and undoings of this person out until the transaction ends."""
    list(User.objects.select_for_update(no_key=True).filter(pk=owner.pk).values_list("pk"))


@transaction.atomic
def _import_one(owner: User, pk: int, assistants: Mapping[str, Assistant]) -> None:
    hold_imports(owner)
    item = ImportedConversation.objects.to_import().filter(pk=pk).first()
    if item is None:  # another request was quicker
        return
    candidate = Candidate(item.source, own.read(json.loads(item.payload)).conversation)
    (match,) = matches(owner, [candidate])
    # Again: another import may have brought it since this one was read.
    plan(item, candidate, match)
    try:
        _store(owner, item, candidate, match, assistants)
    except ConversationGoneError:
        item.outcome = Outcome.FAILED
        item.notes.append(_("The conversation was deleted meanwhile. Import the file again."))
    item.payload = ""
    item.save()


def _store(
    owner: User,
    item: ImportedConversation,
    candidate: Candidate,
    match: Match | None,
    assistants: Mapping[str, Assistant],
) -> None:
    if match is None:
        item.conversation = store_conversation(owner, candidate.carried, assistants)
    elif item.fresh:
        conversation = Conversation.objects.owned_by(owner).filter(pk=match.conversation).first()
        if conversation is None:
            raise ConversationGoneError
        item.conversation, item.leaf_before = conversation, conversation.leaf_id
        item.added = add_messages(conversation, candidate.carried, match.known, assistants)
    else:
        return
    item.outcome = Outcome.IMPORTED
