"""What every page knows."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from chat.banners import COOKIE, Announced, shown_to
from chat.preferences import Preferences
from chat.sharing import is_sharing


def sharing(request: HttpRequest) -> dict[str, bool]:
    """Return whether links to conversations can be made here."""
    return {"sharing": is_sharing()}


def preferences(request: HttpRequest) -> dict[str, Preferences]:
    """Return what the person chose on this browser."""
    return {"preferences": Preferences.of(request)}


def banners(request: HttpRequest) -> dict[str, Callable[[], list[Announced]]]:
    """Return what is announced to whoever asks, found out where a template shows it."""
    user = getattr(request, "user", AnonymousUser())  # an error may come before anybody knows
    return {"banners": lambda: shown_to(user, request.COOKIES.get(COOKIE, ""))}
