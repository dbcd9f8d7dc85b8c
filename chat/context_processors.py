"""What every page knows."""

from __future__ import annotations

from django.http import HttpRequest

from chat.preferences import Preferences
from chat.sharing import is_sharing


def sharing(request: HttpRequest) -> dict[str, bool]:
    """Return whether links to conversations can be made here."""
    return {"sharing": is_sharing()}


def preferences(request: HttpRequest) -> dict[str, Preferences]:
    """Return what the person chose on this browser."""
    return {"preferences": Preferences.of(request)}
