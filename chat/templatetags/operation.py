"""What the admin's pages about the running site need beyond Django's own filters."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

register = template.Library()


@register.filter
def clock(seconds: float) -> str:
    """Return a length of time as a clock shows it, such as 0:42, 12:03 or 1:02:03; chat/live.js does the same."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@register.filter
def ago(moment: datetime) -> str:
    """Return how long ago it was, in seconds where that is less than a minute."""
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    if seconds < 60:
        return ngettext("%d second ago", "%d seconds ago", seconds) % seconds
    return _("%(time)s ago") % {"time": timesince(moment, depth=1)}
