"""The words in which the rest of the app asks for rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import transaction
from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, When, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

if TYPE_CHECKING:
    from chat.models import (  # noqa: F401 - named in strings
        Assistant,
        Conversation,
        Folder,
        Generation,
        ImportedConversation,
        Invitation,
        LegalHold,
        Message,
        Price,
        Quota,
        RehearsedAnswer,
        RehearsedQuestion,
        Share,
        User,
    )


class AssistantQuerySet(QuerySet["Assistant"]):
    def usable_by(self, user: User, aliases: Iterable[str]) -> AssistantQuerySet:
        """Return the active assistants that this user may choose and whose backend the settings name."""
        allowed = Q(groups=None) | Q(groups__in=user.groups.all())
        return self.filter(allowed, is_active=True, backend__in=list(aliases)).distinct()

    def update(self, **values: Any) -> int:
        """Change all of them, and keep a version of each whose values that changed."""
        if not self.model.is_kept(values):
            return super().update(**values)
        with transaction.atomic():
            touched = list(self.order_by().values_list("pk", flat=True))
            changed = super().update(**values)
            self.model.keep_versions(touched)
        return changed

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Assistant], *args: Any, **kwargs: Any) -> list[Assistant]:
        """Store them, and keep a version of each."""
        with transaction.atomic():
            made = super().bulk_create(objs, *args, **kwargs)
            self.model.keep_versions([assistant.pk for assistant in made])
        return made


class ConversationQuerySet(QuerySet["Conversation"]):
    def owned_by(self, user: User | Any) -> ConversationQuerySet:
        """Return what belongs to this user, and to nobody else, whatever their rights; not what they deleted."""
        return self.kept().filter(owner_id=user.pk)

    def kept(self) -> ConversationQuerySet:
        """Return those that are there: what its owner deleted is for nobody, however it is asked for."""
        return self.filter(deleted_at__isnull=True)

    def deleted_by(self, user: User | Any) -> ConversationQuerySet:
        """Return what this user deleted and is not purged yet; some of it is ``retention.deleting.restorable``."""
        return self.filter(owner_id=user.pk, deleted_at__isnull=False, set_aside_from=None)

    def not_held(self) -> ConversationQuerySet:
        """Leave out what a legal hold keeps: of its owner, of itself, of the conversation it was set aside from."""
        active = apps.get_model("chat", "LegalHold")._default_manager.active()
        return self.exclude(
            Exists(active.filter(person=OuterRef("owner")))
            | Exists(active.filter(conversation=OuterRef("pk")))
            | Exists(active.filter(conversation=OuterRef("set_aside_from")))
        )


class LegalHoldQuerySet(QuerySet["LegalHold"]):
    def active(self) -> LegalHoldQuerySet:
        """Return those that are not lifted."""
        return self.filter(lifted_at__isnull=True)


class FolderQuerySet(QuerySet["Folder"]):
    def owned_by(self, user: User | Any) -> FolderQuerySet:
        return self.filter(owner_id=user.pk)


class MessageQuerySet(QuerySet["Message"]):
    def owned_by(self, user: User | Any) -> MessageQuerySet:
        return self.filter(conversation__owner_id=user.pk, conversation__deleted_at__isnull=True)


class GenerationQuerySet(QuerySet["Generation"]):
    def queued(self) -> GenerationQuerySet:
        return self.filter(status="queued")

    def running(self) -> GenerationQuerySet:
        return self.filter(status="in_progress")

    def unfinished(self) -> GenerationQuerySet:
        return self.filter(status__in=("queued", "in_progress"))

    def written_here(self) -> GenerationQuerySet:
        """Return what this site wrote: the answers whose tokens and costs count."""
        return self.filter(is_imported=False)

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

    def for_person(self, user: User) -> QuotaQuerySet:
        """Return all rules that hold for this person, those of single assistants included."""
        whom = Q(user=user) | Q(group__in=user.groups.all()) | Q(user=None, group=None)
        return self.filter(whom, is_active=True)


class InvitationQuerySet(QuerySet["Invitation"]):
    def open(self) -> InvitationQuerySet:
        """Return those by which somebody may make an account now."""
        return self.filter(revoked_at=None, used__lt=F("uses"), expires_at__gt=timezone.now())


class RehearsedQuestionQuerySet(QuerySet["RehearsedQuestion"]):
    def kept(self) -> RehearsedQuestionQuerySet:
        """Return those whose conversation is there: what its owner deleted is for nobody, copies included."""
        return self.filter(conversation__deleted_at=None)

    def readable_by(self, user: User, *, others: bool) -> RehearsedQuestionQuerySet:
        """Return those that this person may read: typed ones, of own conversations, and with ``others`` of all."""
        kept = self.kept()
        if others:
            return kept
        return kept.filter(Q(conversation=None) | Q(conversation__owner=user))


class RehearsedAnswerQuerySet(QuerySet["RehearsedAnswer"]):
    def queued(self) -> RehearsedAnswerQuerySet:
        return self.filter(status="queued")

    def running(self) -> RehearsedAnswerQuerySet:
        return self.filter(status="in_progress")

    def unfinished(self) -> RehearsedAnswerQuerySet:
        return self.filter(status__in=("queued", "in_progress"))

    def to_take(self) -> RehearsedAnswerQuerySet:
        """Return those that a worker may take, the oldest first: their conversation is there, their person may ask."""
        allowed = self.queued().filter(question__rehearsal__owner__is_active=True)
        return allowed.filter(question__conversation__deleted_at=None).order_by("pk")

    def run_by(self, worker: str) -> RehearsedAnswerQuerySet:
        return self.running().filter(worker=worker)


class PriceQuerySet(QuerySet["Price"]):
    def in_force(self, moment: datetime) -> Price | None:
        """Return the one that holds then: the newest that has begun, or the first where none has."""
        begun = self.filter(starts_at__lte=moment).order_by("-starts_at", "-pk")
        return begun.first() or self.order_by("starts_at", "pk").first()

    def in_force_by_assistant(self, moment: datetime) -> dict[int, Price]:
        """Return, for the id of each assistant that has any, the one that holds then; one query for all."""
        found: dict[int, Price] = {}
        for price in self.order_by("starts_at", "pk"):
            if price.starts_at <= moment or price.assistant_id not in found:
                found[price.assistant_id] = price
        return found


class AppendOnlyError(Exception):
    """A row that never changes was to be changed or deleted."""


class AppendOnlyQuerySet(QuerySet[Any]):
    """Rows that never change: what would change many at once is refused."""

    def update(self, **kwargs: Any) -> int:
        raise AppendOnlyError("These rows never change.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("These rows are not deleted by themselves.")

    def forget(self) -> int:
        """Delete them for good, their time being over: ``chat.retention.purging`` does. Return how many there were."""
        return super().delete()[0]


class ShareQuerySet(QuerySet["Share"]):
    def of(self, conversations: QuerySet[Conversation]) -> ShareQuerySet:
        """Return the links to these conversations."""
        return self.filter(conversation__in=conversations)

    def live(self) -> ShareQuerySet:
        """Return the links that open."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


class ImportedConversationQuerySet(QuerySet["ImportedConversation"]):
    def there(self, conversations: QuerySet[Conversation]) -> ImportedConversationQuerySet:
        """Return what became one of these conversations."""
        return self.filter(outcome__in=("imported", "kept"), conversation__in=conversations)

    def to_import(self) -> ImportedConversationQuerySet:
        return self.filter(plan__in=("new", "more"), outcome="")

    def to_undo(self) -> ImportedConversationQuerySet:
        return self.filter(outcome="imported")
