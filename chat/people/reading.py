"""Reading what others wrote: with the permission, and after saying why. The owner can see who did, and the reason.

The entry in the audit log is the key: what was not written down cannot be read.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from chat import audit
from chat.audit import Target
from chat.models import AuditEntry, Conversation, User

PERMISSION = "chat.view_others_conversations"
OPEN_FOR = timedelta(minutes=30)
"""How long one administrator may read one conversation for one reason."""
_ACTION = "transcript.read"


def may_read(reader: User) -> bool:
    """Tell whether they may read conversations of others at all, for a reason."""
    return reader.is_active and reader.has_perm(PERMISSION)


def open_transcript(conversation: Conversation, reader: User, *, reason: str, ticket: str = "") -> None:
    """Write down why; the conversation is open to this reader from now on, for ``OPEN_FOR``."""
    target = Target(kind="conversation", id=str(conversation.pk), owner_id=conversation.owner_id)
    audit.append(_ACTION, reader, target, reason=reason, ticket=ticket)


def open_until(conversation: Conversation, reader: User) -> datetime | None:
    """Return until when the reader may read it; None where they said no reason yet, or lost the permission."""
    if not may_read(reader):
        return None
    since = timezone.now() - OPEN_FOR
    said = AuditEntry.objects.filter(at__gt=since, actor_id=reader.pk, action=_ACTION, target_id=str(conversation.pk))
    newest = said.order_by("-number").values_list("at", flat=True).first()
    return newest + OPEN_FOR if newest else None


def is_open(conversation: Conversation, reader: User) -> bool:
    """Tell whether the reader may see the title and the messages now: it is theirs, or they said why."""
    return conversation.owner_id == reader.pk or open_until(conversation, reader) is not None


def name_of(conversation: UUID) -> str:
    """Return how the admin names a conversation: its title is made of what its owner wrote."""
    return _("Conversation %(id)s") % {"id": str(conversation)[:8]}
