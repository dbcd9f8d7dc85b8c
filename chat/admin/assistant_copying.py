"""What a new assistant begins with: another one, one as it was once, or nothing."""

from __future__ import annotations

from typing import Any

from django.db.models import Max
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _

from chat.models import Assistant, AssistantVersion
from chat.models.versions import values_of

SLUG = 50


def initial(request: HttpRequest) -> dict[str, Any]:
    """Return what the form of a new assistant begins with; last in the order."""
    highest = Assistant.objects.aggregate(Max("order"))["order__max"]
    values = _copied(request)
    return values | {"order": min((highest if highest is not None else -1) + 1, 32767)}


def _copied(request: HttpRequest) -> dict[str, Any]:
    copy, version = request.GET.get("copy", ""), request.GET.get("version", "")
    if copy.isdecimal():
        assistant = Assistant.objects.filter(pk=int(copy)).first()
        values = values_of(assistant) if assistant else None
    elif version.isdecimal():
        kept = AssistantVersion.objects.filter(pk=int(version)).first()
        values = dict(kept.values) if kept else None
    else:
        return {}
    if values is None:
        raise Http404
    if not request.user.has_perm("chat.view_assistant") and not request.user.has_perm("chat.change_assistant"):
        raise Http404
    values["groups"] = [pair[0] for pair in values.get("groups", [])]
    name = str(values.get("name", ""))
    values["name"] = (_("%s (copy)") % name)[:80] if Assistant.objects.filter(name=name).exists() else name
    values["slug"] = free_slug(str(values.get("slug", "")))
    return values


def free_slug(slug: str) -> str:
    """Return the slug itself where nobody has it, or the first of ``slug-2``, ``slug-3`` … that is free."""
    slug = slug or "assistant"
    taken = set(Assistant.objects.filter(slug__startswith=slug[: SLUG - 5]).values_list("slug", flat=True))
    candidate, number = slug, 2
    while candidate in taken:
        candidate = f"{slug[: SLUG - 1 - len(str(number))]}-{number}"
        number += 1
    return candidate
