"""The words in which the rest of the app asks for rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db.models import Case, Count, F, Q, QuerySet, When, Window
from django.db.models.functions import RowNumber

if TYPE_CHECKING:
    from chat.models import (  # noqa: F401 - named in strings
        Assistant,
        Conversation,
        Generation,
        Message,
        Quota,
        User,
    )


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

    def in_turn(self) -> GenerationQuerySet:
        """Return the queued answers in the order in which they are to be taken.

        ``round`` is how many answers its owner has in progress once it is taken, too. Nobody's second answer goes
        before somebody's first; within a round, who has waited longest is first.
        """
        owner = F("message__conversation__owner")
        running = Window(Count("pk", filter=Q(status="in_progress")), partition_by=owner)
        place = Window(RowNumber(), partition_by=[owner, F("status")], order_by=["queued_at", "pk"])
        # Those in progress are counted, so they must be among the rows; they are left out by their round.
        rounds = Case(When(status="queued", then=running + place), default=0)
        return self.unfinished().annotate(round=rounds).filter(round__gt=0).order_by("round", "queued_at", "pk")

    def run_by(self, worker: str) -> GenerationQuerySet:
        """Return what the process of this name is writing."""
        return self.running().filter(worker=worker)


class QuotaQuerySet(QuerySet["Quota"]):
    def for_use(self, user: User, assistant: Assistant | None) -> QuotaQuerySet:
        """Return the rules that hold when this person asks this assistant; None leaves out those of one assistant."""
        whom = Q(user=user) | Q(group__in=user.groups.all()) | Q(user=None, group=None)
        which = Q(assistant=None) | Q(assistant=assistant) if assistant else Q(assistant=None)
        # A subquery, not a join: somebody in two groups has each rule once.
        return self.filter(whom, which, is_active=True)


class AppendOnlyError(Exception):
    """A row that never changes was to be changed or deleted."""


class AppendOnlyQuerySet(QuerySet[Any]):
    """Rows that never change: what would change many at once is refused."""

    def update(self, **kwargs: Any) -> int:
        raise AppendOnlyError("These rows never change.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("These rows are not deleted by themselves.")
