"""The list of conversations, a page at a time: what a person sees of theirs, newest first, by day."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from chat.models import Conversation, Folder, Generation, User
from chat.querysets import ConversationQuerySet
from chat.retention import rules as retention
from chat.retention.deleting import restorable

PAGE = 50
"""Rows that come at once."""

ARCHIVED, DELETED = "archived", "deleted"


class Cursor(NamedTuple):
    """The last row of a page: the next page begins after it, wherever the rows before it have gone meanwhile."""

    is_pinned: bool
    at: datetime
    pk: UUID

    def __str__(self) -> str:
        return f"{self.is_pinned:d}.{_microseconds(self.at)}.{self.pk.hex}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """Return the cursor that this was; None if it is none."""
        try:
            pinned, at, pk = text.split(".")
            return cls(pinned == "1", datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(at)), UUID(pk))
        except (ValueError, OverflowError):
            return None


def _microseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What of the conversations is listed: all but the archived ones, one folder, the archive, or what was deleted."""

    kind: str = ""
    folder: Folder | None = None

    @property
    def key(self) -> str:
        """The view in a word, as the cookie ``list`` has it."""
        return f"folder-{self.folder.pk}" if self.folder else self.kind

    @property
    def title(self) -> str | Promise:
        if self.folder:
            return self.folder.name
        titles = {ARCHIVED: pgettext_lazy("a place", "Archive"), DELETED: _("Recently deleted")}
        return titles.get(self.kind, _("All conversations"))

    def url(self, after: Cursor | None = None) -> str:
        """The address of the view, or of the page of it that comes after a row."""
        query = {"view": self.key, "after": str(after) if after else ""}
        return f"{reverse('chat:conversations')}?{urlencode({k: v for k, v in query.items() if v})}".rstrip("?")


def view_named(key: str, folders: Iterable[Folder]) -> View | None:
    """Return the view of that key; None if there is none, or it is of a folder that is not there."""
    if key in {"", ARCHIVED, DELETED}:
        return View(kind=key)
    return next((view for folder in folders if (view := View(folder=folder)).key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A heading and the rows under it."""

    key: str
    heading: str | Promise
    since: datetime | None = None
    """The rows are from then on; None for those that are pinned, and for the oldest."""
    rows: list[Conversation]

    @property
    def since_ms(self) -> int:
        """The same as a script counts."""
        return _microseconds(self.since) // 1000 if self.since else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page of a view."""

    view: View
    folders: list[Folder]
    groups: list[Group]
    """Those that have rows."""
    days: list[Group]
    """All that there are today, empty: a script puts rows under them that come later."""
    next_url: str
    """Of the page that follows; empty if there is none."""

    @property
    def days_json(self) -> str:
        """The same for a script."""
        days = [{"key": day.key, "heading": str(day.heading), "since": day.since_ms} for day in self.days]
        return json.dumps(days)

    @property
    def rows(self) -> list[Conversation]:
        return [row for group in self.groups for row in group.rows]


def listing(user: User, key: str = "", *, after: str = "", zone: str = "") -> Listing | None:
    """Return a page of what a person listed, by the days of a time zone; None if there is no such view.

    Two queries, however many conversations there are, and the page is a walk along an index.
    """
    folders = list(Folder.objects.owned_by(user))
    view = view_named(key, folders)
    if view is None:
        return None
    rows = list(_after(_rows(user, view), view, Cursor.parse(after))[: PAGE + 1])
    more = len(rows) > PAGE
    rows = rows[:PAGE]
    if keeping := retention.keeping_for(user) if view.kind != DELETED else None:
        for row in rows:
            row.goes_at = keeping.goes_at(row)  # type: ignore[attr-defined]
    days = day_groups(zone)
    last = _cursor(rows[-1], view) if more else None
    return Listing(
        view=view,
        folders=folders,
        groups=_grouped(rows, view, days),
        days=days,
        next_url=view.url(last) if last else "",
    )


def _rows(user: User, view: View) -> ConversationQuerySet:
    if view.kind == DELETED:
        return restorable(user).select_related("folder").order_by("-deleted_at", "-id")
    # What is in a folder is its owner's. By one of the two alone, so that there is one index to walk along.
    found = (
        Conversation.objects.kept().filter(folder=view.folder) if view.folder else Conversation.objects.owned_by(user)
    )
    # "in", because SQLite finds no index for the NOT that Django makes of "= False".
    found = found.filter(is_archived__in=[view.kind == ARCHIVED])
    running = Generation.objects.unfinished().filter(message__conversation=OuterRef("pk"))
    found = found.annotate(is_running=Exists(running)).select_related("folder")
    return found.order_by("-is_pinned", "-updated_at", "-id")


def _after(rows: ConversationQuerySet, view: View, cursor: Cursor | None) -> ConversationQuerySet:
    if cursor is None:
        return rows
    name = _time_field(view)
    older = Q(**{f"{name}__lt": cursor.at}) | Q(**{name: cursor.at, "id__lt": cursor.pk})
    if view.kind == DELETED:
        return rows.filter(older, deleted_at__lte=cursor.at)
    if cursor.is_pinned:
        return rows.filter(Q(older, is_pinned=True) | Q(is_pinned=False))
    # The range says the same once more, in words by which an index can be entered in its middle.
    return rows.filter(older, is_pinned__in=[False], updated_at__lte=cursor.at)


def _time_field(view: View) -> str:
    return "deleted_at" if view.kind == DELETED else "updated_at"


def _cursor(row: Conversation, view: View) -> Cursor:
    return Cursor(row.is_pinned, getattr(row, _time_field(view)), row.pk)


def day_groups(zone: str = "") -> list[Group]:
    """Return the headings of today without rows: pinned first, then from the newest day to the oldest."""
    where = _zone(zone)
    today = timezone.localdate(timezone=where)

    def since(days: int) -> datetime:
        return datetime.combine(today - timedelta(days=days), time.min, tzinfo=where)

    return [
        Group(key="pinned", heading=_("Pinned"), rows=[]),
        Group(key="today", heading=_("Today"), since=since(0), rows=[]),
        Group(key="yesterday", heading=_("Yesterday"), since=since(1), rows=[]),
        Group(key="week", heading=_("Previous 7 days"), since=since(6), rows=[]),
        Group(key="month", heading=_("Previous 30 days"), since=since(29), rows=[]),
        Group(key="older", heading=_("Older"), rows=[]),
    ]


def _zone(name: str) -> tzinfo:
    """Return the time zone of that name, which a browser sent; the site's if it is none."""
    try:
        return ZoneInfo(name) if name else timezone.get_current_timezone()
    except (ValueError, OSError, KeyError):
        return timezone.get_current_timezone()


def _grouped(rows: list[Conversation], view: View, days: list[Group]) -> list[Group]:
    pinned, *dated = days
    groups: dict[str, Group] = {}
    for row in rows:
        at: Any = getattr(row, _time_field(view))
        is_pinned = row.is_pinned and view.kind != DELETED
        day = pinned if is_pinned else next(group for group in dated if group.since is None or group.since <= at)
        group = groups.setdefault(day.key, Group(key=day.key, heading=day.heading, since=day.since, rows=[]))
        group.rows.append(row)
    return list(groups.values())


def in_words(seconds: int) -> str:
    """Return a length of time in the largest unit that makes a whole number of it."""
    if seconds % 86_400 == 0:
        return ngettext("%(number)s day", "%(number)s days", seconds // 86_400) % {"number": seconds // 86_400}
    if seconds % 3_600 == 0:
        return ngettext("%(number)s hour", "%(number)s hours", seconds // 3_600) % {"number": seconds // 3_600}
    minutes = max(1, seconds // 60)
    return ngettext("%(number)s minute", "%(number)s minutes", minutes) % {"number": minutes}
