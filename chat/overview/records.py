"""Usage by filters: what the roll-ups say of it, and the records themselves.

Three queries for any number of records: over time and by assistant, by model, by person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.db.models import Count, F, Max, Q, QuerySet, Window
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from backends import chat_backends
from chat.models import Grain, PersonRollUp, UsageRecord, UsageRollUp
from chat.overview.figures import SUMS, Series, Used
from chat.overview.people import deleted_name, username_of
from chat.rollups import days_later, hour_of

ROWS = 20
"""People and models that are listed."""
AT_ONCE = 2_000
"""Records that are in memory at a time while they are written to a file."""
COLUMNS = (
    "at",
    "user_id",
    "username",
    "assistant_id",
    "assistant_name",
    "backend",
    "model",
    "outcome",
    "finish_reason",
    "error_code",
    "input_tokens",
    "output_tokens",
    "is_estimated",
    "cost",
    "waited_ms",
    "first_text_ms",
    "duration_ms",
    "generation_id",
    "conversation_id",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which usage: whole days, and what it has in common."""

    start: datetime
    end: datetime
    """When the day after the last one begins."""
    user_id: int | None = None
    assistant_id: int | None = None
    backend: str = ""
    outcome: str = ""

    @property
    def grain(self) -> Grain:
        """Of the chart: up to three days are shown by the hour."""
        return Grain.HOUR if self.end <= days_later(self.start, 3) else Grain.DAY

    @property
    def buckets(self) -> tuple[datetime, ...]:
        """When the hours or days of the chart begin."""
        starts = [self.start]
        while (following := self._after(starts[-1])) < self.end:
            starts.append(following)
        return tuple(starts)

    def _after(self, start: datetime) -> datetime:
        return days_later(start, 1) if self.grain == Grain.DAY else hour_of(start + timedelta(hours=1))

    @property
    def rolled_up(self) -> Q:
        """Which roll-ups."""
        kept = self._kind
        if self.assistant_id is not None:
            kept &= Q(assistant_id=self.assistant_id)
        return kept & Q(grain=self.grain, starts_at__gte=self.start, starts_at__lt=self.end)

    @property
    def records(self) -> QuerySet[UsageRecord]:
        """Which records."""
        kept = self._kind
        if self.assistant_id is not None:
            kept &= Q(assistant_id=self.assistant_id or None)
        return UsageRecord.objects.filter(kept, at__gte=self.start, at__lt=self.end)

    @property
    def _kind(self) -> Q:
        kind = {"user_id": self.user_id, "backend": self.backend, "outcome": self.outcome}
        return Q(**{name: value for name, value in kind.items() if value not in {None, ""}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One assistant, model or person, and what was used."""

    id: int = 0
    name: str
    detail: str = ""
    used: Used


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used, of what a filter lets through."""

    buckets: tuple[datetime, ...]
    totals: tuple[Used, ...]
    """One for each hour or day."""
    total: Used
    over_time: Series
    """Each assistant by hours or days; who took most tokens is first."""
    assistants: tuple[Part, ...]
    models: tuple[Part, ...]
    people: tuple[Part, ...]
    people_in_all: int


def usage(chosen: Filter) -> Usage:
    """Return what the roll-ups say."""
    starts = chosen.buckets
    place = {start: number for number, start in enumerate(starts)}
    # Who asks for one person is told from the rows of people, which are few then.
    rows = (UsageRollUp if chosen.user_id is None else PersonRollUp)._default_manager.filter(chosen.rolled_up)
    totals, total = [Used() for _each in starts], Used()
    by_assistant: dict[int, list[Used]] = defaultdict(lambda: [Used() for _each in starts])
    sums: dict[int, Used] = defaultdict(Used)
    names: dict[int, str] = {}
    for row in (
        rows.values("starts_at", "assistant_id").annotate(**SUMS, name=Max("assistant_name")).order_by("starts_at")
    ):
        number, assistant = place[row["starts_at"]], row["assistant_id"]
        for used in (total, totals[number], sums[assistant], by_assistant[assistant][number]):
            used.add(row)
        names[assistant] = row["name"]
    order = sorted(sums, key=lambda pk: (-sums[pk].tokens, names[pk]))
    people = _people(chosen)
    return Usage(
        buckets=starts,
        totals=tuple(totals),
        total=total,
        over_time=tuple((names[pk], tuple(by_assistant[pk])) for pk in order),
        assistants=tuple(Part(id=pk, name=names[pk], used=sums[pk]) for pk in order),
        models=_models(rows),
        people=tuple(
            Part(id=row["user_id"], name=row["name"] or deleted_name(row["user_id"]), used=_used(row)) for row in people
        ),
        people_in_all=people[0]["people"] if people else 0,
    )


def names_of(found: Usage, grain: Grain) -> tuple[list[str], list[str]]:
    """Return how the hours or days are called, and shortly."""
    locals_ = [timezone.localtime(start) for start in found.buckets]
    if grain == Grain.DAY:
        return [date_format(day, "SHORT_DATE_FORMAT") for day in locals_], [
            date_format(day, gettext("j M")) for day in locals_
        ]
    return [date_format(hour, "SHORT_DATETIME_FORMAT") for hour in locals_], [f"{hour:%H:%M}" for hour in locals_]


def _models(rows: QuerySet[Any]) -> tuple[Part, ...]:
    most = rows.values("backend", "model").annotate(**SUMS).order_by(-(F("input_tokens") + F("output_tokens")))
    return tuple(
        Part(name=row["model"] or chat_backends.label(row["backend"]), detail=row["backend"], used=_used(row))
        for row in most[:ROWS]
    )


def _people(chosen: Filter) -> Sequence[dict[str, Any]]:
    rows = PersonRollUp.objects.filter(chosen.rolled_up).values("user_id").annotate(**SUMS)
    named = rows.annotate(people=Window(Count("user_id")), name=username_of("user_id"))
    return cast(
        "Sequence[dict[str, Any]]", list(named.order_by(-(F("input_tokens") + F("output_tokens")), "user_id")[:ROWS])
    )


def _used(row: dict[str, Any]) -> Used:
    used = Used()
    used.add(row)
    return used


def rows_of(chosen: Filter) -> Iterator[tuple[Any, ...]]:
    """Yield the values of the records, the oldest first; a few thousand are in memory at a time.

    No cursor stays open meanwhile: whoever downloads slowly keeps the database from nothing.
    """
    records = chosen.records.order_by("at", "pk").values_list("pk", *COLUMNS)
    last: tuple[datetime, int] | None = None
    while True:
        some = records
        if last is not None:
            # The first condition is what an index can be searched by.
            some = some.filter(Q(at__gte=last[0]) & (Q(at__gt=last[0]) | Q(pk__gt=last[1])))
        found = list(some[:AT_ONCE])
        for pk, at, *values in found:
            last = (at, pk)
            yield (timezone.localtime(at).isoformat(timespec="milliseconds"), *values)
        if len(found) < AT_ONCE:
            return
