"""What the pages of figures need: figures in words, bars without inline style, links to lists of the admin."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import urlencode

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from chat.models import Status
from chat.overview import numbers
from chat.overview.figures import Figures
from chat.wording import failure_words

register = template.Library()
register.filter("as_percent", numbers.percent)
register.filter("as_money", numbers.money)
register.filter("as_whole", numbers.whole)
register.filter("as_compact", numbers.compact)
register.filter("as_milliseconds", numbers.milliseconds)
register.filter("as_failure", failure_words)


@register.simple_tag
def initial(name: str) -> SafeString:
    """Draw the first letter of a name, for the eye only."""
    return format_html('<span class="initial" aria-hidden="true">{}</span>', name.lstrip("(")[:1].upper())


@register.simple_tag
def share_bar(share: float | Decimal, level: str) -> SafeString:
    """Draw a part of the whole; the number stands beside it in words."""
    width = f"{min(max(float(share), 0), 1) * 100:.1f}%"
    return format_html(
        '<svg class="share {}" aria-hidden="true"><rect class="share-all" width="100%" height="100%"/>'
        '<rect class="share-part" width="{}" height="100%"/></svg>',
        level,
        width,
    )


@register.simple_tag
def failures_link(figures: Figures, code: str = "") -> str:
    """Return the address of the list of the answers that failed in the range, of one reason or all."""
    query = {"status__exact": Status.FAILED.value, "queued_at__gte": figures.range.start.isoformat(" ")}
    if code:
        query["error_code"] = code
    return f"{reverse('admin:chat_generation_changelist')}?{urlencode(query)}"


@register.simple_tag
def live_board() -> str:
    """Return the address of the live board; empty on a site without one."""
    try:
        return reverse("admin:live")
    except NoReverseMatch:
        return ""
