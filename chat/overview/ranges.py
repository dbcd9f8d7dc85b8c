"""From when to when figures are shown, and with what they are compared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, DateTimeField, F, Q, When
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chat.models import Grain
from chat.rollups import covering, day_of, days_later, hour_of

DAYS = {"14d": 14, "90d": 90}
LABELS: dict[str, str | Promise] = {"24h": _("24 h"), "14d": _("14 days"), "90d": _("90 days")}
DEFAULT = "14d"
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Hours or days in a row, the last of which is not over yet."""

    key: str
    grain: Grain
    starts: tuple[datetime, ...]
    """Of each hour or day, in UTC."""
    end: datetime
    before: tuple[datetime, datetime]
    """As many hours or days before, as far into the last of them as it is now, to the whole hour."""

    @property
    def label(self) -> str | Promise:
        return LABELS[self.key]

    @property
    def start(self) -> datetime:
        return self.starts[0]

    @property
    def rows(self) -> Q:
        """Which roll-ups are in it."""
        return Q(grain=self.grain, starts_at__gte=self.start, starts_at__lt=self.end)

    @property
    def rows_and_before(self) -> Q:
        return self.rows | covering(*self.before)

    @property
    def bucket(self) -> Any:
        """An expression: the hour or day of a roll-up; NULL for all of what was before."""
        return Case(When(self.rows, then=F("starts_at")), default=None, output_field=DateTimeField())

    def name(self, start: datetime) -> str:
        """Return how an hour or a day is called."""
        local = timezone.localtime(start)
        return date_format(local, "TIME_FORMAT" if self.grain == Grain.HOUR else "SHORT_DATE_FORMAT")

    def short_name(self, start: datetime) -> str:
        """Return how it is called where there is little room."""
        local = timezone.localtime(start)
        return f"{local:%H:%M}" if self.grain == Grain.HOUR else date_format(local, gettext("j M"))


def range_of(key: str, now: datetime | None = None) -> Range:
    """Return the range of this name; the usual one for a name that there is not."""
    now = now or timezone.now()
    key = key if key in LABELS else DEFAULT
    hour = hour_of(now)
    if key not in DAYS:
        starts = tuple(hour - HOUR * back for back in reversed(range(24)))
        before = (starts[0] - HOUR * 24, hour - HOUR * 24)
        return Range(key=key, grain=Grain.HOUR, starts=starts, end=hour + HOUR, before=before)
    return days(key, day_of(now), DAYS[key], hour)


def days(key: str, last: datetime, number: int, hour: datetime) -> Range:
    """Return so many days that end with this one, of which it is this hour."""
    starts = tuple(days_later(last, -back) for back in reversed(range(number)))
    before = (days_later(starts[0], -number), min(days_later(last, -number) + (hour - last), starts[0]))
    return Range(key=key, grain=Grain.DAY, starts=starts, end=days_later(last, 1), before=before)
