"""What every page knows."""

from __future__ import annotations

from django.http import HttpRequest

from chat.sharing import is_sharing


def sharing(request: HttpRequest) -> dict[str, bool]:
    """Return whether links to conversations can be made here."""
    return {"sharing": is_sharing()}


def theme(request: HttpRequest) -> dict[str, str]:
    """Return the theme that the person chose on this browser; empty for the one of the system."""
    chosen = request.COOKIES.get("theme", "")
    return {"theme": chosen if chosen in {"light", "dark"} else ""}
