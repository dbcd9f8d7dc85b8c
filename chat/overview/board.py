"""What the first page of the admin shows, in words and shapes; no query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat.models import Grain
from chat.overview.backends import Backend
from chat.overview.charts import Names, Spark, Stack, spark, stack
from chat.overview.figures import Figures, Waits
from chat.overview.numbers import amount, compact, milliseconds, money, percent, time_and_unit, whole
from chat.overview.people import People
from chat.overview.ranges import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Against the range before."""

    is_up: bool
    is_good: bool
    percent: str
    words: str
    """For those who do not see arrow and colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpi:
    """One of the great figures."""

    name: str
    value: str
    unit: str = ""
    detail: str
    change: Change | None
    spark: Spark | None


def kpis(used: Figures, waited: Waits, active: People) -> list[Kpi]:
    """Return the four figures at the top."""
    shown = used.range
    time, unit = time_and_unit(waited.p95)
    return [
        Kpi(
            name=_("Tokens, %(range)s") % {"range": shown.label},
            value=compact(used.total.tokens),
            detail=ngettext("%(number)s answer", "%(number)s answers", used.total.answers)
            % {"number": whole(used.total.answers)},
            change=change(used.total.tokens, used.before.tokens, more_is_good=True),
            spark=spark([each.tokens for each in used.buckets]),
        ),
        Kpi(
            name=_("Cost, %(range)s") % {"range": shown.label},
            value=amount(used.total.cost),
            unit=settings.CHAT_CURRENCY,
            detail=_("%(amount)s an answer") % {"amount": money(used.total.cost / used.total.answers)}
            if used.total.answers
            else "–",
            change=change(used.total.cost, used.before.cost, more_is_good=False),
            spark=spark([float(each.cost) for each in used.buckets]),
        ),
        Kpi(
            name=_("First text, p95"),
            value=time,
            unit=unit,
            detail=_("%(share)s of answers failed") % {"share": percent(used.failed / used.total.answers)}
            if used.total.answers
            else "–",
            change=change(waited.p95 or 0, waited.before or 0, more_is_good=False),
            spark=spark(waited.buckets),
        ),
        Kpi(
            name=_("Active people"),
            value=whole(active.active),
            detail=_busiest(shown, active),
            change=change(active.active, active.before, more_is_good=True),
            spark=spark(active.buckets),
        ),
    ]


def _busiest(shown: Range, active: People) -> str:
    most = whole(max(active.buckets, default=0))
    if shown.grain == Grain.HOUR:
        return _("%(number)s in the busiest hour") % {"number": most}
    return _("%(number)s on the busiest day") % {"number": most}


def change(now: float | Decimal, before: float | Decimal, *, more_is_good: bool) -> Change | None:
    """Return how a figure changed; None where it was nothing before, or changed by less than half a hundredth."""
    if not before or not now:
        return None
    part = float(now) / float(before) - 1
    if abs(part) < 0.005:
        return None
    is_up = part > 0
    words = _("%(percent)s more than before") if is_up else _("%(percent)s less than before")
    shown = percent(abs(part))
    return Change(is_up=is_up, is_good=is_up == more_is_good, percent=shown, words=words % {"percent": shown})


def assistants_chart(used: Figures) -> Stack:
    """Return tokens over time, by assistants."""
    shown = used.range
    names = Names(
        bars=[shown.name(start) for start in shown.starts],
        short=[shown.short_name(start) for start in shown.starts],
        others=_("Others"),
        number=compact,
    )
    return stack([(name, [each.tokens for each in series]) for name, series in used.assistants], names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An hour or a day in numbers."""

    name: str
    answers: str
    tokens: str
    cost: str
    p95: str
    people: str


def number_rows(used: Figures, waited: Waits, active: People) -> list[Row]:
    """Return what the charts are made of, the newest first."""
    columns = zip(used.range.starts, used.buckets, waited.buckets, active.buckets, strict=True)
    rows = [
        Row(
            name=used.range.name(start),
            answers=whole(each.answers),
            tokens=whole(each.tokens),
            cost=money(each.cost),
            p95=milliseconds(p95),
            people=whole(people),
        )
        for start, each, p95, people in columns
    ]
    return rows[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRow:
    """A backend, and how quick it was."""

    backend: Backend
    median: str
    p95: str
    failed: str
    """Part of its answers; empty where none failed."""


def backend_rows(found: Sequence[Backend], waited: Waits | None, used: Figures | None) -> list[BackendRow]:
    """Return the backends with their figures, for those who may see any."""
    rows = []
    for backend in found:
        median, p95 = waited.backends.get(backend.alias, (None, None)) if waited else (None, None)
        answers, failed = used.answers_of_backends.get(backend.alias, (0, 0)) if used else (0, 0)
        rows.append(
            BackendRow(
                backend=backend,
                median=milliseconds(median) if median else "",
                p95=milliseconds(p95) if p95 else "",
                failed=percent(failed / answers) if failed and answers else "",
            )
        )
    return rows
