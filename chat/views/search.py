"""The page of results, and the same as JSON for the dialog."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat.models import Role
from chat.search import MAX_LENGTH, Findings, Group, Hit, Part, Query, find, find_titles, recent
from chat.views.common import user_of, wants_json


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownHit:
    """A message that was found, as pages show it."""

    url: str
    by: str
    day: str
    snippet: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownGroup:
    """A conversation in which something was found, as pages show it."""

    url: str
    title: tuple[Part, ...]
    day: str
    is_archived: bool
    hits: list[ShownHit]


@require_safe
@never_cache
@login_required
def search(request: HttpRequest) -> HttpResponse:
    """Show what a person has that matches ``?q=``: a page, or with ``Accept: application/json`` the same as JSON.

    ``before`` and ``titles_before``, ids of messages, go on with older messages and with older titles.
    """
    query = Query(request.GET.get("q", "").strip())
    findings, problem = _found(request, query)
    groups = [_shown(group) for group in findings.groups]
    state = problem or ("" if groups or not query.text else _("Nothing was found."))
    if not groups and findings.before:
        state = _("Nothing was found so far. Go on with older messages.")
    older_url = _url(query, before=findings.before)
    titles_url = _url(query, titles_before=findings.before_title)
    if wants_json(request):
        data = {"state": state, "groups": [asdict(group) for group in groups], "more": bool(older_url or titles_url)}
        return JsonResponse(data)
    context: dict[str, Any] = {
        "query": query,
        "state": state,
        "groups": groups,
        "older_url": older_url,
        "titles_url": titles_url,
    }
    return render(request, "chat/search.html", context)


def _found(request: HttpRequest, query: Query) -> tuple[Findings, str | Promise]:
    """Return what is to be shown, and what is wrong with the query."""
    user = user_of(request)
    if not query.text:
        return recent(user), ""
    if query.is_too_long:
        return Findings(), _("At most %(number)s characters, please.") % {"number": MAX_LENGTH}
    if query.is_too_short:
        return Findings(), _("Type one more character.")
    if before := _number(request, "titles_before"):
        return find_titles(user, query, before), ""
    return find(user, query, _number(request, "before")), ""


def _number(request: HttpRequest, name: str) -> int | None:
    value = request.GET.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 19 else None


def _url(query: Query, **before: int | None) -> str:
    """Return the address of a further page; empty where there is none."""
    if None in before.values():
        return ""
    return f"{reverse('chat:search')}?{urlencode({'q': query.text, **before})}"


def _shown(group: Group) -> ShownGroup:
    conversation = group.conversation
    return ShownGroup(
        url=conversation.get_absolute_url(),
        title=group.title,
        day=_day(conversation.updated_at),
        is_archived=conversation.is_archived,
        hits=[_shown_hit(hit) for hit in group.hits],
    )


def _shown_hit(hit: Hit) -> ShownHit:
    message = hit.message
    return ShownHit(
        url=f"{message.conversation.get_absolute_url()}?message={message.pk}#message-{message.pk}",
        by=_("You") if message.role == Role.USER else _("Answer"),
        day=_day(message.created_at),
        snippet=hit.snippet,
    )


def _day(moment: datetime) -> str:
    """Return the day, or for today the time."""
    local = timezone.localtime(moment)
    is_today = local.date() == timezone.localdate()
    return date_format(local, "TIME_FORMAT" if is_today else "DATE_FORMAT")
