"""Usage, added up by hours and days, so that no page adds up a million records.

``add`` is called in the transaction that writes the records, so that roll-ups and records agree whatever happens. Hours
and days are those of the site's time zone; after a change of it ``manage.py rebuild_rollups`` adds up anew.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any, cast

from django.db import connection, models, transaction
from django.db.models import Min, Q
from django.utils import timezone

from chat.models import FirstTextRollUp, Grain, PersonRollUp, Status, UsageRecord, UsageRollUp

PER_DOUBLING = 8
"""Buckets of the histogram between a time and twice as much."""
_Model = type[UsageRollUp] | type[PersonRollUp] | type[FirstTextRollUp]
MODELS: tuple[_Model, ...] = (UsageRollUp, PersonRollUp, FirstTextRollUp)
"""In the order in which they are written, so that nobody waits for each other."""

HOURS_KEPT = timedelta(days=100)
"""For so long usage is known by the hour: the longest comparison begins or ends in a day of 90 days ago."""

_Row = tuple[Any, ...]
_Sums = dict[_Row, list[Any]]


def bucket_of(milliseconds: int) -> int:
    """Return the bucket of the histogram that counts this time."""
    return math.floor(math.log2(max(milliseconds, 1)) * PER_DOUBLING)


def percentile(buckets: Mapping[int, int], share: float) -> float | None:
    """Return the time, in milliseconds, within which this share of the answers came; None without any.

    It is the middle of the bucket in which the true value lies, at most 4.5 % away from it: half of 2 ** (1/8).
    """
    place = math.ceil(sum(buckets.values()) * share)
    for bucket in sorted(buckets):
        place -= buckets[bucket]
        if place <= 0 < buckets[bucket]:
            return float(2 ** ((bucket + 0.5) / PER_DOUBLING))
    return None


def hour_of(moment: datetime) -> datetime:
    """Return when the hour began, by the clock of the site's time zone."""
    return timezone.localtime(moment).replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def day_of(moment: datetime) -> datetime:
    """Return when the day began, by the calendar of the site's time zone."""
    return timezone.localtime(moment).replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


def days_later(day: datetime, days: int) -> datetime:
    """Return when the day begins that is so many days later, or earlier: days have 23 to 25 hours."""
    local = timezone.localtime(day).replace(tzinfo=None) + timedelta(days=days)
    return timezone.make_aware(local.replace(hour=0, minute=0)).astimezone(UTC)


def covering(start: datetime, end: datetime) -> Q:
    """Return which rows are all that was used from one hour on until another one: days, and hours at both edges."""
    first = day_of(start) if day_of(start) == start else days_later(day_of(start), 1)
    last = day_of(end)
    if first >= last:
        return Q(grain=Grain.HOUR, starts_at__gte=start, starts_at__lt=end)
    parts = [Q(grain=Grain.DAY, starts_at__gte=first, starts_at__lt=last)]
    if start < first:
        parts.append(Q(grain=Grain.HOUR, starts_at__gte=start, starts_at__lt=first))
    if last < end:
        parts.append(Q(grain=Grain.HOUR, starts_at__gte=last, starts_at__lt=end))
    return reduce(or_, parts)


def add(records: Iterable[UsageRecord]) -> None:
    """Count new records, in the transaction that stored them."""
    for model, sums in zip(MODELS, _sum(records), strict=True):
        _upsert(model, sums)


def old_hours(now: datetime) -> list[models.QuerySet[Any]]:
    """Return the hours that no page adds up any more; the days of which they are parts stay."""
    limit = now - HOURS_KEPT
    return [model._default_manager.filter(grain=Grain.HOUR, starts_at__lt=limit) for model in MODELS]


def rebuild() -> int:
    """Add up all records anew, a day at a time; return how many there were. Answers may end meanwhile.

    Days before the oldest record stay as they are: what was used then is known from nowhere else.
    """
    first = UsageRecord.objects.aggregate(first=Min("at"))["first"]
    if first is None:
        return 0
    counted, day = 0, day_of(first)
    while day <= timezone.now():
        counted += _rebuild_day(day, days_later(day, 1))
        day = days_later(day, 1)
    return counted


def _rebuild_day(day: datetime, next_day: datetime) -> int:
    with transaction.atomic():
        if connection.vendor == "postgresql":
            # Whoever has counted here is done before, and whoever comes later counts on top. SQLite has one writer.
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {UsageRollUp._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")
        for model in MODELS:
            model._default_manager.filter(grain__in=Grain.values, starts_at__gte=day, starts_at__lt=next_day).delete()
        records = UsageRecord.objects.filter(at__gte=day, at__lt=next_day).order_by()
        counted = _Counter(records.iterator(chunk_size=5_000))
        for model, sums in zip(MODELS, _sum(counted), strict=True):
            _upsert(model, sums)
    return counted.number


class _Counter:
    """Records, counted while they are read."""

    def __init__(self, records: Iterable[UsageRecord]) -> None:
        self._records = records
        self.number = 0

    def __iter__(self) -> Iterator[UsageRecord]:
        for record in self._records:
            self.number += 1
            yield record


def _sum(records: Iterable[UsageRecord]) -> tuple[_Sums, _Sums, _Sums]:
    """Return the rows of each of MODELS: what is added under which key. The name of the assistant is the newest."""
    usage: _Sums = defaultdict(lambda: [0, 0, 0, Decimal(0), ""])
    people: _Sums = defaultdict(lambda: [0, 0, 0, Decimal(0), ""])
    waits: _Sums = defaultdict(lambda: [0])
    starts: dict[datetime, tuple[datetime, datetime]] = {}
    for record in records:
        kind = (record.assistant_id or 0, record.backend, record.model, record.outcome)
        minute = record.at.replace(second=0, microsecond=0)
        if minute not in starts:
            starts[minute] = day_of(minute), hour_of(minute)
        for grain, starts_at in zip((Grain.DAY, Grain.HOUR), starts[minute], strict=True):
            for sums in (
                usage[grain, starts_at, *kind, _reason(record)],
                people[grain, starts_at, record.user_id, *kind],
            ):
                sums[0] += 1
                sums[1] += record.input_tokens
                sums[2] += record.output_tokens
                sums[3] += record.cost
                sums[4] = record.assistant_name
            if record.first_text_ms is not None:
                waits[grain, starts_at, record.backend, bucket_of(record.first_text_ms)][0] += 1
    return usage, people, waits


def _reason(record: UsageRecord) -> str:
    return "" if record.outcome == Status.COMPLETED else record.error_code or record.finish_reason


def _upsert(model: _Model, sums: _Sums) -> None:
    """Add to the rows of these keys, which are made where there are none, in an order that all keep to."""
    named = () if model is FirstTextRollUp else ("assistant_name",)
    columns = [*model.KEYS, *model.SUMS, *named]
    fields = [cast("models.Field[Any, Any]", model._meta.get_field(column)) for column in columns]
    table = connection.ops.quote_name(model._meta.db_table)
    changes = [f"{column} = {table}.{column} + excluded.{column}" for column in model.SUMS]
    changes += [f"{column} = excluded.{column}" for column in named]
    rows = sorted((*key, *values) for key, values in sums.items())
    for start in range(0, len(rows), 500):
        some = rows[start : start + 500]
        places = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * len(some))
        values = [
            field.get_db_prep_save(value, connection) for row in some for field, value in zip(fields, row, strict=True)
        ]
        statement = (  # names of our own, no values
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES {places} "  # noqa: S608
            f"ON CONFLICT ({', '.join(model.KEYS)}) DO UPDATE SET {', '.join(changes)}"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
