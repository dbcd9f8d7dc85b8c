"""What every page knows."""

from __future__ import annotations

from django.http import HttpRequest

from chat.preferences import Preferences


def preferences(request: HttpRequest) -> dict[str, Preferences]:
    """Return what the person chose on this browser."""
    return {"preferences": Preferences.of(request)}
