"""Who may read what other people wrote, in a rehearsal: with the permission, and after saying why."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from chat import audit
from chat.audit import Target
from chat.models import AuditEntry, Conversation, Rehearsal, RehearsedQuestion, User
from chat.querysets import RehearsedQuestionQuerySet
from chat.workshop.choosing import tell_owners

PERMISSION = "chat.view_others_conversations"
OPEN_FOR = timedelta(minutes=30)
"""How long an administrator may read a rehearsal of somebody else for one reason."""
_ACTION = "rehearsal.opened"


def is_open(rehearsal: Rehearsal, reader: User) -> bool:
    """Tell whether the reader may see questions of other people's conversations now: they said why they have to."""
    if not reader.has_perm(PERMISSION):
        return False
    if rehearsal.owner_id == reader.pk:
        return True  # who said so to take the questions
    since = timezone.now() - OPEN_FOR
    said = AuditEntry.objects.filter(actor_id=reader.pk, action=_ACTION, target_id=str(rehearsal.pk), at__gt=since)
    return said.exists()


def open_rehearsal(rehearsal: Rehearsal, reader: User, reason: str) -> None:
    """Write down why; all of the rehearsal is open to this reader for ``OPEN_FOR``, and the owners can see it."""
    taken = RehearsedQuestion.objects.kept().filter(rehearsal=rehearsal).exclude(conversation=None)
    with transaction.atomic():
        audit.append(_ACTION, reader, Target(kind="rehearsal", id=str(rehearsal.pk)), reason=reason)
        conversations = Conversation.objects.filter(pk__in=taken.values("conversation")).order_by("pk")
        tell_owners(rehearsal, reader, conversations, reason)


def readable(rehearsal: Rehearsal, reader: User) -> RehearsedQuestionQuerySet:
    """Return the questions that the reader may see now, in their order."""
    found = RehearsedQuestion.objects.readable_by(reader, others=is_open(rehearsal, reader))
    return found.filter(rehearsal=rehearsal).select_related("message", "conversation").order_by("number")
