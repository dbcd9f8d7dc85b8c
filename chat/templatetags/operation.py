"""What the admin's pages about the running site need beyond Django's own filters."""

from __future__ import annotations

from django import template

register = template.Library()


@register.filter
def clock(seconds: float) -> str:
    """Return a length of time as a clock shows it, such as 0:42, 12:03 or 1:02:03; chat/live.js does the same."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
