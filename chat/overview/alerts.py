"""Who has used up most of what a quota gives them. Two queries, the second only where there are rules."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import or_

from django.db.models import F, FloatField, Q, Sum
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from chat.models import Quota, QuotaCounter
from chat.overview.people import deleted_name, username_of

WARM = Decimal("0.75")
HOT = Decimal("0.9")
SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Somebody, or all together, who has used much of what a rule gives."""

    name: str
    person: int
    """Their id; 0 for all together."""
    quota: Quota
    used: Decimal
    """What unfinished answers have set aside included."""

    @property
    def share(self) -> Decimal:
        return self.used / self.quota.limit

    @property
    def level(self) -> str:
        return "hot" if self.share >= HOT else "warm"


def alerts() -> list[Alert]:
    """Return who has used three quarters of a rule, or more; the fullest first. A limit of 0 is no alert."""
    now = timezone.now()
    active = Quota.objects.filter(is_active=True, limit__gt=0).select_related("user", "group", "assistant")
    rules = {rule.pk: rule for rule in active}
    since: dict[datetime, list[int]] = defaultdict(list)
    for rule in rules.values():
        since[rule.oldest_bucket(now)].append(rule.pk)
    if not rules:
        return []
    counting = reduce(or_, (Q(quota__in=pks, starts_at__gte=start) for start, pks in since.items()))
    rows = (
        QuotaCounter.objects.filter(counting)
        .values("quota", "person", most=F("quota__limit"))
        .annotate(total=Sum(F("used") + F("reserved")))
        .filter(total__gte=F("most") * WARM)
        .annotate(part=Cast("total", FloatField()) / Cast("most", FloatField()), name=username_of("person"))
        .order_by("-part", "person")
    )
    return [
        Alert(
            name=row["name"] or (deleted_name(row["person"]) if row["person"] else _("All together")),
            person=row["person"],
            quota=rules[row["quota"]],
            used=row["total"],
        )
        for row in rows[:SHOWN]
    ]
