"""The live board: who is being answered now, by what, and what an administrator can do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from backends import chat_backends
from chat.admin import intervening
from chat.admin_site import page
from chat.live import Answer, Board, board
from chat.models import Drain, Generation, User
from chat.wording import LEVELS, STAGES, health_words

WORDS: dict[str, str | Promise] = {
    **STAGES,
    **{f"level_{level}": words for level, words in LEVELS.items()},
    "live": gettext_lazy("Live"),
    "away": gettext_lazy("Connection lost. Reconnecting…"),
    "ended": gettext_lazy("You may not watch this any more. Reload the page."),
    "failed": gettext_lazy("That did not work. Reload the page."),
}
"""What chat/live.js says."""


@page("live/", permission="chat.view_generation", title=gettext_lazy("Live board"), name="live", place=1)
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Show what is being written and what waits; chat/live.js keeps it as it is."""
    user = cast("User", request.user)
    now = board()
    may_see_titles = user.has_perm("chat.view_conversation")
    context = {
        **admin.site.each_context(request),
        "title": _("Live board"),
        "board": now,
        "answers": [_shown(answer, may_see_titles=may_see_titles) for answer in now.answers],
        "backends": [{"line": line, "words": health_words(line.health)} for line in now.backends],
        "may_see_titles": may_see_titles,
        "may_cancel": user.has_perm("chat.change_generation"),
        "may_drain": user.has_perm("chat.add_drain"),
        "may_restore": user.has_perm("chat.delete_drain"),
        "everything": Drain.EVERYTHING,
        "all_message": _message_for_all(now),
        "words": {name: str(words) for name, words in WORDS.items()},
    }
    return render(request, "admin/chat/live.html", context)


@page("live/<int:id>/cancel/", permission="chat.change_generation", name="live_cancel")
@require_POST
def live_cancel(request: HttpRequest, id: int) -> HttpResponse:  # noqa: A002 - the name of the URL's part
    """End one answer; its text so far is kept."""
    answers = Generation.objects.select_related("message__conversation")
    number = intervening.cancel_answers(_user(request), [get_object_or_404(answers, pk=id)])
    said = _("The answer was cancelled.") if number else _("The answer was over already.")
    return _done(request, said)


@page("live/backend/", permission="chat.view_generation", name="live_backend")
@require_POST
def live_backend(request: HttpRequest) -> HttpResponse:
    """Cancel all answers of a backend, drain it, or bring it back; ``act`` says which."""
    try:
        permission, act = _ACTS[request.POST.get("act", "")]
    except KeyError:
        raise Http404 from None
    if not _user(request).has_perm(permission):
        raise PermissionDenied
    alias = request.POST.get("alias", "")
    is_known = alias in chat_backends or alias == Drain.EVERYTHING
    if not is_known and not (
        Generation.objects.unfinished().filter(backend=alias).exists() or Drain.objects.filter(alias=alias).exists()
    ):
        raise Http404
    return _done(request, act(request, alias))


def _cancel_all(request: HttpRequest, alias: str) -> str:
    cancelled, left = intervening.cancel_all(_user(request), alias)
    said = ngettext("%d answer was cancelled.", "%d answers were cancelled.", cancelled) % cancelled
    if left:
        rest = ngettext("%d is left: cancel again.", "%d are left: cancel again.", left) % left
        return f"{said} {rest}"
    return said


def _drain(request: HttpRequest, alias: str) -> str:
    longest = cast("int", Drain._meta.get_field("message").max_length)
    message = " ".join(request.POST.get("message", "").replace("\0", "").split())[:longest]
    intervening.drain(_user(request), alias, message)
    return _("%(backend)s takes no new answers. Those that it has go on to their end.") % {"backend": _name(alias)}


def _restore(request: HttpRequest, alias: str) -> str:
    intervening.restore(_user(request), alias)
    return _("%(backend)s takes new answers.") % {"backend": _name(alias)}


_ACTS: dict[str, tuple[str, Callable[[HttpRequest, str], str]]] = {
    "cancel": ("chat.change_generation", _cancel_all),
    "drain": ("chat.add_drain", _drain),
    "restore": ("chat.delete_drain", _restore),
}


def _name(alias: str) -> str:
    return _("Every backend") if alias == Drain.EVERYTHING else chat_backends.label(alias)


def _done(request: HttpRequest, said: str) -> HttpResponse:
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"said": said})
    messages.success(request, said)
    return HttpResponseRedirect(reverse("admin:live"))


def _shown(answer: Answer, *, may_see_titles: bool) -> dict[str, Any]:
    """Return a row of the board as the template shows it."""
    words = STAGES.get(answer.stage, STAGES["waiting"])
    if answer.stage == "queued":
        words = STAGES["waiting"]
        if answer.position:
            words = str(STAGES["waiting_at"]) % {"number": answer.position}
    return {"answer": answer, "stage": words, "title": answer.title if may_see_titles else ""}


def _message_for_all(now: Board) -> str:
    if not now.is_drained:
        return ""
    return Drain.objects.filter(alias=Drain.EVERYTHING).values_list("message", flat=True).first() or ""


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)
