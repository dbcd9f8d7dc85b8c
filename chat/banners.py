"""Announcements at the top of the pages: who sees which now, and how open pages hear of a change.

What is announced is read once in a while and kept; where nothing is, a page asks the database nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone
from django.utils.safestring import SafeString

from chat import events
from chat.markdown import render_inline
from chat.models import Audience, Banner, BannerDismissal, User
from chat.remembered import Remembered

COOKIE = "banners"
"""What somebody who is not signed in dismissed on this browser."""
MOST_DISMISSED = 20
"""That a cookie remembers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A banner as a page shows it."""

    pk: int
    version: int
    level: str
    html: SafeString
    audience: str
    groups: frozenset[int]
    starts_at: datetime | None
    ends_at: datetime | None
    is_dismissible: bool

    @property
    def key(self) -> str:
        """What a browser remembers of one that was dismissed."""
        return f"{self.pk}-{self.version}"

    def is_on(self, now: datetime) -> bool:
        return (self.starts_at is None or self.starts_at <= now) and (self.ends_at is None or now < self.ends_at)


def announced(banner: Banner, groups: Iterable[int] = ()) -> Announced:
    """Return how a page shows this banner."""
    return Announced(
        pk=banner.pk or 0,
        version=banner.version,
        level=banner.level,
        html=render_inline(banner.text),
        audience=banner.audience,
        groups=frozenset(groups),
        starts_at=banner.starts_at,
        ends_at=banner.ends_at,
        is_dismissible=banner.is_dismissible,
    )


def _load() -> tuple[Announced, ...]:
    """Return those that are not over, the most urgent first."""
    left = Banner.objects.filter(Q(ends_at=None) | Q(ends_at__gt=timezone.now())).prefetch_related("groups")
    urgency = {"danger": 0, "warn": 1}
    found = [announced(banner, [group.pk for group in banner.groups.all()]) for banner in left]
    return tuple(sorted(found, key=lambda one: urgency.get(one.level, 2)))


_left = Remembered(_load)
_left.made_of(Banner)


def on_now() -> tuple[Announced, ...]:
    """Return all that is announced at this moment, to whomever."""
    now = timezone.now()
    return tuple(one for one in _left.get() if one.is_on(now))


def shown_to(user: User | AnonymousUser, dismissed: str = "") -> list[Announced]:
    """Return what this person sees; ``dismissed`` is what the browser remembers. Nothing where the database is away."""
    try:
        found = [one for one in on_now() if one.key not in dismissed.split(".") or not one.is_dismissible]
        return _for_person(user, found) if isinstance(user, User) else [one for one in found if _is_public(one)]
    except DatabaseError:
        return []  # the page that says so needs none


def _is_public(one: Announced) -> bool:
    return one.audience == Audience.PUBLIC


def _for_person(user: User, found: list[Announced]) -> list[Announced]:
    """Leave out what is for others, and what this person dismissed: a query for each of the two, where it matters."""
    own: set[int] = set()
    if any(one.audience == Audience.GROUPS for one in found):
        own = set(user.groups.values_list("pk", flat=True))
    found = [one for one in found if _is_for(one, user, own)]
    if any(one.is_dismissible for one in found):
        gone = set(BannerDismissal.objects.filter(person=user).values_list("banner", "version"))
        found = [one for one in found if not one.is_dismissible or (one.pk, one.version) not in gone]
    return found


def _is_for(one: Announced, user: User, groups: set[int]) -> bool:
    match one.audience:
        case Audience.STAFF:
            return user.is_staff
        case Audience.GROUPS:
            return bool(one.groups & groups)
        case _:
            return True


def dismiss(user: User | AnonymousUser, key: str, remembered: str = "") -> str:
    """Show this banner no more, as it is now, to this person; return what a browser of nobody's is to remember.

    Harmless where it is gone, says something else by now, or cannot be dismissed.
    """
    one = next((one for one in on_now() if one.key == key and one.is_dismissible), None)
    if one is None:
        return remembered
    if isinstance(user, User):
        now = {"version": one.version}
        BannerDismissal.objects.update_or_create(person=user, banner_id=one.pk, defaults=now)
        return remembered
    return ".".join([*[old for old in remembered.split(".") if old and old != key], key][-MOST_DISMISSED:])


class Watch:
    """Tells the open pages of this process when what is announced is not what it was: changed, begun or over."""

    def __init__(self) -> None:
        self._told: tuple[Announced, ...] | None = None

    def look(self) -> bool:
        """Look once; return whether the pages were told."""
        now = on_now()
        is_news = self._told is not None and now != self._told
        self._told = now
        if is_news:
            events.tell_everybody("banner.changed", {})
        return is_news
