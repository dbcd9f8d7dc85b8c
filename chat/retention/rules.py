"""How long things are kept: which rule holds for whom, and what is due by it.

A group's rule holds instead of the one for everybody; of those of several groups, the one with the longest period.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Q, QuerySet
from django.utils import timezone

from chat.models import (
    AuditEntry,
    Conversation,
    ImportBatch,
    Kept,
    ModerationFlag,
    PersonRollUp,
    RetentionRule,
    UsageRecord,
    User,
)
from chat.querysets import ConversationQuerySet
from chat.remembered import Remembered
from chat.rollups import day_of

DAY = 86_400
NOTICE = timedelta(days=7)
"""So long before it goes, its owner reads that it will."""


def _load() -> tuple[RetentionRule, ...]:
    return tuple(sorted(RetentionRule.objects.select_related("group"), key=_strength, reverse=True))


def _strength(rule: RetentionRule) -> tuple[bool, int, bool, bool]:
    """Order rules: the longest period is last, and of equal ones the one that spares more."""
    return rule.days is None, rule.days or 0, rule.spares_archived, rule.spares_pinned


_rules = Remembered(_load)
_rules.made_of(RetentionRule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A rule, and who it holds for."""

    kind: Kept
    whom: str
    """The name of the group, or empty for everybody."""
    seconds: int | None
    """For how long things are kept; None: for ever."""
    owners: Q = field(default_factory=Q)
    """Of rows with a column ``owner``."""
    is_spared: Q = field(default_factory=Q)
    """Rows that the rule never takes, where it has such."""
    has_spared: bool = False

    @property
    def days(self) -> int | None:
        return None if self.seconds is None else self.seconds // DAY

    def limit(self, now: datetime) -> datetime | None:
        """Return from when on things are kept; None: all of them."""
        return None if self.seconds is None else now - timedelta(seconds=self.seconds)


def rules(kind: Kept) -> list[RetentionRule]:
    """Return the rules of this kind, the strongest first."""
    return [rule for rule in _rules.get() if rule.kind == kind]


def rule_for(user: User, kind: Kept) -> RetentionRule | None:
    """Return the rule that holds for this person; None: for ever. A query only where groups have rules."""
    found = rules(kind)
    if any(rule.group_id for rule in found):
        own = set(user.groups.values_list("pk", flat=True))
        for rule in found:
            if rule.group_id in own:
                return rule
    return next((rule for rule in found if not rule.group_id), None)


def due_rules(kind: Kept) -> list[Due]:
    """Return each rule of the kind with those for whom it, and no other, holds."""
    found, stronger = [], list[int]()
    for rule in rules(kind):
        if rule.group_id:
            members = User.objects.filter(groups=rule.group_id)
            if stronger:
                members = members.exclude(groups__in=list(stronger))
            owners = Q(owner__in=members.values("pk"))
            stronger.append(rule.group_id)
        else:
            groups = ruled_groups(kind)
            owners = ~Q(owner__in=_members(groups)) if groups else Q()
        found.append(_due(rule, owners))
    return found


def _due(rule: RetentionRule, owners: Q) -> Due:
    spared = Q()
    if rule.spares_pinned:
        spared |= Q(is_pinned=True)
    if rule.spares_archived:
        spared |= Q(is_archived=True)
    whom = rule.group.name if rule.group else ""
    has_spared = bool(spared)
    seconds = None if rule.days is None else rule.days * DAY
    kind = Kept(rule.kind)
    return Due(kind=kind, whom=whom, seconds=seconds, owners=owners, is_spared=spared, has_spared=has_spared)


def untouched(due: Due, now: datetime) -> ConversationQuerySet:
    """Return the conversations that the rule deletes now."""
    limit = due.limit(now)
    if limit is None:
        return Conversation.objects.none()
    found = Conversation.objects.kept().filter(due.owners, updated_at__lt=limit)
    found = found.filter(Q(restored_at=None) | Q(restored_at__lt=limit)).not_held()
    return found.exclude(due.is_spared) if due.has_spared else found


def deleted_for_good(now: datetime) -> list[tuple[Due, ConversationQuerySet]]:
    """Return, for each rule, what was deleted so long ago that it is erased now."""
    ruled = due_rules(Kept.DELETED)
    if all(due.whom for due in ruled):
        owners = ~Q(owner__in=_members(ruled_groups(Kept.DELETED))) if ruled else Q()
        ruled.append(Due(kind=Kept.DELETED, whom="", seconds=settings.CHAT_UNDO_SECONDS, owners=owners))
    limits = [(due, due.limit(now)) for due in ruled]
    gone = Conversation.objects.filter(deleted_at__isnull=False)
    return [(due, gone.filter(due.owners, deleted_at__lt=limit).not_held()) for due, limit in limits if limit]


def ruled_groups(kind: Kept) -> list[int]:
    """Return the groups that have a rule of their own."""
    return [rule.group_id for rule in rules(kind) if rule.group_id]


def _members(groups: list[int]) -> QuerySet[User, Any]:
    return User.objects.filter(groups__in=groups).values("pk")


def undo_seconds(user: User) -> int | None:
    """Return for how long this person can restore what they deleted; None: for ever."""
    rule = rule_for(user, Kept.DELETED)
    if rule is None:
        return int(settings.CHAT_UNDO_SECONDS)
    return None if rule.days is None else rule.days * DAY


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how long somebody's conversations are kept."""

    days: int
    spares_pinned: bool
    spares_archived: bool

    def goes_at(self, conversation: Conversation) -> datetime | None:
        """Return when it goes if it is not used until then; None if that is not soon, or never."""
        if (conversation.is_pinned and self.spares_pinned) or (conversation.is_archived and self.spares_archived):
            return None
        used = max(filter(None, (conversation.updated_at, conversation.restored_at)))
        goes = used + timedelta(days=self.days)
        return goes if goes - timezone.now() <= NOTICE else None


def keeping_for(user: User) -> Keeping | None:
    """Return how long this person's conversations are kept; None: as long as they like."""
    rule = rule_for(user, Kept.CONVERSATIONS)
    if rule is None or rule.days is None:
        return None
    return Keeping(rule.days, rule.spares_pinned, rule.spares_archived)


def old_imports(due: Due, now: datetime) -> QuerySet[ImportBatch]:
    """Return uploads whose conversations were never taken in, or were taken back."""
    status = ImportBatch.Status
    left = ImportBatch.objects.filter(due.owners, status__in=(status.READING, status.READY, status.UNDONE))
    limit = due.limit(now)
    return left.filter(created_at__lt=limit) if limit else left.none()


def old_flags(due: Due, now: datetime) -> QuerySet[ModerationFlag]:
    limit = due.limit(now)
    return ModerationFlag.objects.filter(at__lt=limit) if limit else ModerationFlag.objects.none()


def old_usage(due: Due, now: datetime) -> QuerySet[UsageRecord]:
    limit = due.limit(now)
    found: QuerySet[UsageRecord] = UsageRecord.objects.all()
    return found.filter(at__lt=limit) if limit else found.none()


def old_sums(due: Due, now: datetime) -> QuerySet[PersonRollUp]:
    """Return what each person used on days whose records are all old; what all used together stays."""
    limit = due.limit(now)
    return PersonRollUp.objects.filter(starts_at__lt=day_of(limit)) if limit else PersonRollUp.objects.none()


def old_entries(due: Due, now: datetime) -> QuerySet[AuditEntry]:
    """Return the oldest entries of the audit log, up to the first that is to be kept."""
    entries: QuerySet[AuditEntry] = AuditEntry.objects.order_by("number")
    limit = due.limit(now)
    if limit is None:
        return entries.none()
    # Clocks are set: what was written after an entry that is kept, is kept.
    first = entries.filter(at__gte=limit).values_list("number", flat=True).first()
    return entries.filter(number__lt=first) if first else entries.filter(at__lt=limit)


def old_sessions(dues: Iterable[Due], now: datetime) -> QuerySet[Session]:
    """Return the sessions that are over; where there is a rule, those of its age, too."""
    days = [due.days for due in dues if due.days is not None]
    age = timedelta(seconds=settings.SESSION_COOKIE_AGE)
    # A session says when it ends alone: so long after it was renewed last.
    over = now + max(timedelta(0), age - timedelta(days=min(days))) if days else now
    return Session.objects.filter(expire_date__lt=over)
