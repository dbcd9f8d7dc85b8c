"""Quotas: what an answer may take is set aside when it is asked for, and counted when it is over.

All rules that apply to a person hold at once. An answer is let in while something is left under each of them, so that a
rule is overspent by one answer at most; what it may take is set aside until it ends, so that many at once are no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Sum
from django.utils import timezone

from chat.models import Assistant, Generation, Metric, Period, Quota, QuotaCounter, Reservation, Trial, User
from chat.models.quotas import LENGTHS
from chat.refusals import QuotaExceededError

WARN_AT = Decimal("0.8")
"""Part of a limit from which on people are warned."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What an answer takes, or may take."""

    tokens: int
    cost: Decimal
    requests: int = 1

    def of(self, metric: str) -> Decimal:
        """Return the amount that a rule of this kind counts."""
        return Decimal({Metric.REQUESTS: self.requests, Metric.TOKENS: self.tokens}.get(Metric(metric), self.cost))


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of a limit is used, by a person or by all together."""

    quota: Quota
    used: Decimal
    """What unfinished answers set aside included."""
    resets_at: datetime
    """When something becomes free: the next period, or when the oldest use is out of a rolling one."""

    @property
    def share(self) -> Decimal:
        """Part of the limit that is used, at most 1."""
        return min(self.used / self.quota.limit, Decimal(1)) if self.quota.limit else Decimal(1)

    @property
    def percent(self) -> int:
        """The same in whole hundredths; 100 only where nothing is left."""
        return 100 if self.is_used_up else min(round(self.share * 100), 99)

    @property
    def is_near(self) -> bool:
        return self.share >= WARN_AT

    @property
    def is_used_up(self) -> bool:
        return self.used >= self.quota.limit


def reserve(number: int, owner: User, assistant: Assistant | None, most: Callable[[], Amounts]) -> None:
    """Set aside what a run may take at ``most`` under all rules, in a transaction that holds the owner's row.

    Its number is that of its generation, or -1 times that of its trial.

    Raises:
        QuotaExceededError: nothing is left under one of them; says when there is.
    """
    rules = list(Quota.objects.for_use(owner, assistant))
    if not rules:
        return
    bound = most() if any(rule.metric != Metric.REQUESTS for rule in rules) else Amounts(0, Decimal(0))
    # Requests of one person come one after the other by now; those of several people wait for each other here.
    shared = Quota.objects.filter(pk__in=[rule.pk for rule in rules if rule.is_shared]).order_by("pk")
    list(shared.select_for_update(no_key=True).values_list("pk"))
    now = timezone.now()
    used = _used(rules, owner, now)
    for rule in rules:
        more = bound.of(rule.metric) if rule.metric == Metric.REQUESTS else Decimal(0)
        if used[rule.pk] >= rule.limit or used[rule.pk] + more > rule.limit:
            raise QuotaExceededError(rule, resets_at=_frees_at(rule, owner, now))
    counters = _current_counters(rules, owner, now)
    amounts = {counter: bound.of(counter.quota.metric) for counter in counters}
    Reservation.objects.bulk_create(
        Reservation(generation=number, counter=counter, amount=amount) for counter, amount in amounts.items()
    )
    for counter, amount in amounts.items():
        QuotaCounter.objects.filter(pk=counter.pk).update(reserved=F("reserved") + amount)


def settle(generation: int, taken: Amounts | None) -> None:
    """Count what the answer took instead of what it set aside; with None, it took nothing. Harmless when repeated."""
    rows = Reservation.objects.filter(generation=generation).select_related("counter__quota").order_by("counter")
    for row in rows:
        if Reservation.objects.filter(pk=row.pk).delete()[0] != 1:
            continue  # somebody else settled it
        used = taken.of(row.counter.quota.metric) if taken else Decimal(0)
        counter = QuotaCounter.objects.filter(pk=row.counter_id)
        counter.update(reserved=F("reserved") - row.amount, used=F("used") + used)


def settle_orphans() -> int:
    """Give back what was set aside for runs that were deleted, or died, before their end; return how many."""
    unfinished = Generation.objects.unfinished().filter(pk=OuterRef("generation"))
    going_on = Trial.objects.filter(pk=-OuterRef("generation"), expires_at__gt=timezone.now())
    lost = Reservation.objects.filter(~Exists(unfinished), ~Exists(going_on))
    orphans = lost.values_list("generation", flat=True).distinct()
    with transaction.atomic():
        left = list(orphans)
        for generation in left:
            settle(generation, None)
    return len(left)


def forget_old_counters() -> None:
    """Delete counters of periods long past, in which nothing is set aside."""
    now = timezone.now()
    old = reduce(or_, [Q(quota__period=period, starts_at__lt=now - 3 * LENGTHS[period]) for period in Period])
    QuotaCounter.objects.filter(old, reservations=None).delete()


def meters(user: User, assistant: Assistant | None = None) -> list[Meter]:
    """Return how much is used under each rule of this person, the fullest first; two queries and one per full rule."""
    return _meters(list(Quota.objects.for_use(user, assistant).select_related("assistant", "group")), user)


def all_meters(user: User) -> list[Meter]:
    """Return the same under the rules of single assistants, too."""
    return _meters(list(Quota.objects.for_person(user).select_related("assistant", "group", "user")), user)


def _meters(rules: list[Quota], user: User) -> list[Meter]:
    now = timezone.now()
    used = _used(rules, user, now)
    found = [Meter(rule, used[rule.pk], _resets_at(rule, used[rule.pk], user, now)) for rule in rules]
    return sorted(found, key=lambda meter: -meter.share)


def _person(rule: Quota, owner: User) -> int:
    return 0 if rule.is_shared else owner.pk


def _used(rules: Sequence[Quota], owner: User, now: datetime) -> dict[int, Decimal]:
    """Return what counts now under each rule: used and set aside."""
    if not rules:
        return {}
    counting = [Q(quota=rule, person=_person(rule, owner), starts_at__gte=rule.oldest_bucket(now)) for rule in rules]
    rows = QuotaCounter.objects.filter(reduce(or_, counting)).values("quota")
    sums = rows.annotate(total=Sum(F("used") + F("reserved"))).values_list("quota", "total")
    return dict.fromkeys((rule.pk for rule in rules), Decimal(0)) | dict(sums)


def _current_counters(rules: Iterable[Quota], owner: User, now: datetime) -> list[QuotaCounter]:
    """Return the counters of the present buckets, in an order in which nobody waits for each other."""
    wanted = [QuotaCounter(quota=rule, person=_person(rule, owner), starts_at=rule.bucket(now)) for rule in rules]
    QuotaCounter.objects.bulk_create(wanted, ignore_conflicts=True)
    present = [Q(quota=one.quota, person=one.person, starts_at=one.starts_at) for one in wanted]
    return list(QuotaCounter.objects.filter(reduce(or_, present)).select_related("quota").order_by("pk"))


def _resets_at(rule: Quota, used: Decimal, owner: User, now: datetime) -> datetime:
    return _frees_at(rule, owner, now) if rule.is_rolling and used else rule.ends(rule.bucket(now))


def _frees_at(rule: Quota, owner: User, now: datetime) -> datetime:
    """Return when something is left again under the rule, if nothing more is used until then."""
    if not rule.is_rolling:
        return rule.ends(rule.bucket(now))
    counters = rule.counters.filter(person=_person(rule, owner), starts_at__gte=rule.oldest_bucket(now))
    left = sum((counter.used + counter.reserved for counter in counters), Decimal(0))
    for counter in counters.order_by("starts_at"):
        left -= counter.used + counter.reserved
        if left < rule.limit:
            return rule.ends(counter.starts_at)
    return rule.ends(rule.bucket(now))
