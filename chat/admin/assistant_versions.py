"""What an assistant was: its versions, two of them side by side, an older one again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from chat.models import Assistant, AssistantVersion, User
from chat.workshop.differences import changed_fields, differences
from chat.workshop.reverting import revert

ON_A_PAGE = 25


@dataclass(frozen=True, slots=True)
class Entry:
    """A version in the list, with what it changed."""

    version: AssistantVersion
    changed: list[str]
    is_first: bool
    is_newest: bool


def _context(request: HttpRequest, object_id: int, **more: Any) -> dict[str, Any]:
    assistant = Assistant.objects.filter(pk=object_id).first()
    return {
        **admin.site.each_context(request),
        "opts": Assistant._meta,
        "assistant": assistant,
        "pk": object_id,
        **more,
    }


@require_safe
def versions(request: HttpRequest, object_id: int) -> HttpResponse:
    """List the versions of an assistant, newest first; also of one that was deleted."""
    rows = AssistantVersion.objects.filter(assistant_id=object_id).order_by("-number")
    page = Paginator(rows, ON_A_PAGE).get_page(request.GET.get("p"))
    shown = list(page)
    if not shown:
        raise Http404
    # The one before the oldest that is shown says what that one changed.
    before = rows.filter(number__lt=shown[-1].number).first()
    entries = [
        Entry(version, changed_fields(older, version), older is None, page.number == 1 and place == 0)
        for place, (version, older) in enumerate(zip(shown, [*shown[1:], before], strict=True))
    ]
    context = _context(request, object_id, title=_("Versions"), subtitle=shown[0].values.get("name"))
    return render(request, "admin/chat/assistant/versions.html", context | {"entries": entries, "page": page})


@require_safe
def version(request: HttpRequest, object_id: int, number: int) -> HttpResponse:
    """Show what a version changed, or in what it differs from another one (``?with=``)."""
    rows = AssistantVersion.objects.filter(assistant_id=object_id)
    chosen = get_object_or_404(rows, number=number)
    numbers = list(rows.order_by("-number").values_list("number", flat=True)[:500])
    asked = request.GET.get("with", "")
    other = rows.filter(number=int(asked) if asked.isdecimal() and len(asked) < 9 else number - 1).first()
    old, new = sorted(filter(None, [other, chosen]), key=lambda one: one.number) if other else (None, chosen)
    context = _context(
        request,
        object_id,
        title=_("Version %d") % number,
        subtitle=chosen.values.get("name"),
        chosen=chosen,
        old=old,
        new=new,
        numbers=[one for one in numbers if one != number],
        newest=numbers[0],
        differences=differences(old.values if old else {}, new.values),
        can_change=request.user.has_perm("chat.change_assistant"),
        can_add=request.user.has_perm("chat.add_assistant"),
    )
    return render(request, "admin/chat/assistant/version.html", context)


@require_POST
def revert_to(request: HttpRequest, object_id: int, number: int) -> HttpResponse:
    """Make the assistant what it was, as a new version."""
    assistant = get_object_or_404(Assistant, pk=object_id)
    chosen = get_object_or_404(AssistantVersion, assistant_id=object_id, number=number)
    before = AssistantVersion.objects.filter(assistant_id=object_id).count()
    try:
        missing = revert(assistant, chosen, cast("User", request.user))
    except ValidationError as error:
        reasons = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        for name, found in reasons.items():
            messages.error(request, f"{name}: {' '.join(found)}".removeprefix(": ").removeprefix("__all__: "))
        return HttpResponseRedirect(reverse("admin:chat_assistant_version", args=[object_id, number]))
    if missing:
        messages.warning(request, _("These groups are no more: %s.") % ", ".join(missing))
    if AssistantVersion.objects.filter(assistant_id=object_id).count() == before:
        messages.info(request, _("It is like that already."))
    else:
        messages.success(request, _("The assistant is as it was in version %d.") % number)
    return HttpResponseRedirect(reverse("admin:chat_assistant_versions", args=[object_id]))
