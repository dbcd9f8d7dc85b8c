"""What was used in a range, and in the one before: two queries, however many answers there were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from django.db.models import Max, Sum
from django.utils.translation import gettext as _

from chat.models import FirstTextRollUp, Status, UsageRollUp
from chat.overview.ranges import Range
from chat.rollups import percentile

Buckets = dict[int, int]
Series = tuple[tuple[str, tuple["Used", ...]], ...]


@dataclass(slots=True)
class Used:
    """What runs took together."""

    answers: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = field(default_factory=Decimal)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def add(self, row: Mapping[str, Any]) -> None:
        self.answers += row["answers"]
        self.input_tokens += row["input_tokens"]
        self.output_tokens += row["output_tokens"]
        self.cost += row["cost"]


SUMS = {name: Sum(name) for name in ("answers", "input_tokens", "output_tokens", "cost")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why answers failed, and how many."""

    code: str
    answers: int
    backends: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was used in a range."""

    range: Range
    buckets: tuple[Used, ...]
    """One for each hour or day of the range."""
    total: Used
    before: Used
    assistants: Series
    """The name of each with what it took in each hour or day; who took most tokens is first."""
    failures: tuple[Failure, ...]
    """The most frequent first."""
    answers_of_backends: dict[str, tuple[int, int]]
    """All answers of each, and those that failed."""

    @property
    def failed(self) -> int:
        return sum(failure.answers for failure in self.failures)


def figures(shown: Range) -> Figures:
    """Add up what was used in the range, and in the one before."""
    place = {start: number for number, start in enumerate(shown.starts)}
    found = (
        UsageRollUp.objects.filter(shown.rows_and_before)
        .values("assistant_id", "backend", "outcome", "reason", bucket=shown.bucket)
        .annotate(**SUMS, name=Max("assistant_name"))
        .order_by("bucket")
    )
    rows = cast("Iterable[dict[str, Any]]", found)
    buckets, total, before = [Used() for _each in shown.starts], Used(), Used()
    assistants: dict[int, list[Used]] = defaultdict(lambda: [Used() for _each in shown.starts])
    names: dict[int, str] = {}
    failures: dict[str, list[tuple[str, int]]] = defaultdict(list)
    backends: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        if row["bucket"] is None:
            before.add(row)
            continue
        number = place[row["bucket"]]
        for used in (total, buckets[number], assistants[row["assistant_id"]][number]):
            used.add(row)
        names[row["assistant_id"]] = row["name"] or _("Deleted")
        answers, failed = backends[row["backend"]]
        failed_now = row["answers"] if row["outcome"] == Status.FAILED else 0
        backends[row["backend"]] = (answers + row["answers"], failed + failed_now)
        if failed_now:
            failures[row["reason"]].append((row["backend"], failed_now))
    return Figures(
        range=shown,
        buckets=tuple(buckets),
        total=total,
        before=before,
        assistants=_by_tokens(names, assistants),
        failures=_by_frequency(failures),
        answers_of_backends=dict(backends),
    )


def _by_tokens(
    names: Mapping[int, str], used: Mapping[int, Sequence[Used]]
) -> tuple[tuple[str, tuple[Used, ...]], ...]:
    named = [(names[pk], tuple(each)) for pk, each in used.items()]
    return tuple(sorted(named, key=lambda one: (-sum(each.tokens for each in one[1]), one[0])))


def _by_frequency(failures: Mapping[str, Sequence[tuple[str, int]]]) -> tuple[Failure, ...]:
    found = [
        Failure(code=code, answers=sum(number for _alias, number in rows), backends=tuple(sorted(dict(rows))))
        for code, rows in failures.items()
    ]
    return tuple(sorted(found, key=lambda failure: (-failure.answers, failure.code)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long people waited for the first text, in milliseconds; None where nobody did."""

    p95: float | None
    before: float | None
    buckets: tuple[float | None, ...]
    """The 95th percentile of each hour or day."""
    backends: dict[str, tuple[float | None, float | None]]
    """Median and 95th percentile of each."""


def waits(shown: Range) -> Waits:
    """Read the histograms of the range, and of the one before."""
    rows = (
        FirstTextRollUp.objects.filter(shown.rows_and_before)
        .values_list("backend", "bucket", shown.bucket)
        .annotate(Sum("answers"))
        .order_by()
    )
    total, before = _histogram(), _histogram()
    starts: dict[datetime, Buckets] = defaultdict(_histogram)
    backends: dict[str, Buckets] = defaultdict(_histogram)
    for backend, bucket, start, answers in rows:
        of = (before,) if start is None else (total, starts[start], backends[backend])
        for histogram in of:
            histogram[bucket] += answers
    return Waits(
        p95=percentile(total, 0.95),
        before=percentile(before, 0.95),
        buckets=tuple(percentile(starts[start], 0.95) for start in shown.starts),
        backends={alias: (percentile(found, 0.5), percentile(found, 0.95)) for alias, found in backends.items()},
    )


def _histogram() -> Buckets:
    return defaultdict(int)
