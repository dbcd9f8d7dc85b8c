"""The words in which the rest of the app asks for rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Q, QuerySet
from django.utils import timezone

if TYPE_CHECKING:
    from chat.models import Assistant, Conversation, Generation, Message, User  # noqa: F401 - named in strings


class AssistantQuerySet(QuerySet["Assistant"]):
    def usable_by(self, user: User, aliases: Iterable[str]) -> AssistantQuerySet:
        """Return the active assistants that this user may choose and whose backend the settings name."""
        allowed = Q(groups=None) | Q(groups__in=user.groups.all())
        return self.filter(allowed, is_active=True, backend__in=list(aliases)).distinct()


class ConversationQuerySet(QuerySet["Conversation"]):
    def owned_by(self, user: User | Any) -> ConversationQuerySet:
        """Return what belongs to this user, and to nobody else, whatever their rights."""
        return self.filter(owner_id=user.pk)


class MessageQuerySet(QuerySet["Message"]):
    def owned_by(self, user: User | Any) -> MessageQuerySet:
        return self.filter(conversation__owner_id=user.pk)


class GenerationQuerySet(QuerySet["Generation"]):
    def queued(self) -> GenerationQuerySet:
        return self.filter(status="queued")

    def running(self) -> GenerationQuerySet:
        return self.filter(status="in_progress")

    def unfinished(self) -> GenerationQuerySet:
        return self.filter(status__in=("queued", "in_progress"))

    def run_by(self, worker: str) -> GenerationQuerySet:
        """Return what the process of this name is writing."""
        return self.running().filter(worker=worker)

    def stale(self, age: timedelta) -> GenerationQuerySet:
        """Return the answers whose process has given no sign of life for this long."""
        return self.running().filter(heartbeat_at__lt=timezone.now() - age)
