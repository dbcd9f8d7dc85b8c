"""The pages of one rehearsal: both sides, progress, votes, files, and the switch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from backends import chat_backends
from chat import audit
from chat.admin.rehearsal_forms import LEAST_REASON
from chat.admin.rehearsal_words import progress_words, words_for
from chat.audit import Target
from chat.models import (
    Assistant,
    AuditEntry,
    Choice,
    Rehearsal,
    RehearsedAnswer,
    RehearsedQuestion,
    Status,
    User,
)
from chat.querysets import RehearsedQuestionQuerySet
from chat.runner import runner
from chat.workshop import comparing, exporting, opening, switching
from chat.workshop.comparing import Row
from chat.workshop.differences import differences
from chat.workshop.settings import DECIDING, deciding

ON_A_PAGE = 10
TOLD_AGAIN_AFTER = timedelta(minutes=10)
"""Who looks at the same rehearsal again within this time is not written down a second time."""
SHOWN = ("all", "unvoted", "failed")


def context_of(request: HttpRequest, rehearsal: Rehearsal | None, **more: Any) -> dict[str, Any]:
    """Return what all of these pages need."""
    return {
        **admin.site.each_context(request),
        "opts": Rehearsal._meta,
        "rehearsal": rehearsal,
        "currency": settings.CHAT_CURRENCY,
        "may_change": request.user.has_perm("chat.change_rehearsal"),
        **more,
    }


def candidate_context(rehearsal: Rehearsal) -> dict[str, Any]:
    """Return in what the settings differ from those that the assistant has now."""
    now = deciding(rehearsal.assistant) if rehearsal.assistant else {}
    newest = switching.newest_version(rehearsal.assistant_id)
    return {
        "differences": differences(now, rehearsal.candidate, DECIDING),
        "old_name": _("%s now") % rehearsal.assistant if rehearsal.assistant else _("Nothing"),
        "new_name": rehearsal.candidate_name,
        "newest": newest,
        "is_outdated": bool(newest and rehearsal.base_version and newest.number != rehearsal.base_version),
    }


def compare(request: HttpRequest, rehearsal: Rehearsal) -> HttpResponse:
    """Show the answers of both sides beside each other, a page at a time."""
    user = cast("User", request.user)
    readable = opening.readable(rehearsal, user)
    show = request.GET.get("show", "all")
    chosen = _only(readable, show, user)
    page = Paginator(chosen, ON_A_PAGE).get_page(request.GET.get("p"))
    totals = comparing.totals(rehearsal)
    rows = [_with_words(row) for row in comparing.rows(page, user)]
    _tell(rehearsal, user, (row.question for row in rows), "rehearsal.read")
    context = context_of(
        request,
        rehearsal,
        title=rehearsal.title,
        totals=totals,
        words=progress_words(totals),
        rows=rows,
        page=page,
        show=show if show in SHOWN else "all",
        hidden=totals.questions - readable.count(),
        may_open=user.has_perm(opening.PERMISSION),
        minutes=round(opening.OPEN_FOR.total_seconds() / 60),
        votes=[(value, label, totals.votes[value]) for value, label in Choice.choices],
        sides=[(pgettext("an answer", "Old"), totals.old), (pgettext("an answer", "New"), totals.new)],
        can_switch=bool(rehearsal.assistant_id) and user.has_perm("chat.change_assistant"),
        may_delete=user.has_perm("chat.delete_rehearsal"),
        new_backend=chat_backends.label(rehearsal.candidate["backend"]),
    )
    return render(request, "admin/chat/rehearsal/compare.html", context | candidate_context(rehearsal))


def _only(found: RehearsedQuestionQuerySet, show: str, user: User) -> RehearsedQuestionQuerySet:
    if show == "unvoted":
        return found.exclude(votes__person=user)
    if show == "failed":
        failed = RehearsedAnswer.objects.filter(status=Status.FAILED).values("question")
        return found.filter(pk__in=failed)
    return found


def _with_words(row: Row) -> Row:
    for answer in filter(None, (row.old, row.new)):
        words_for(answer)
    return replace(row)


def _tell(rehearsal: Rehearsal, user: User, questions: Iterable[RehearsedQuestion], action: str) -> None:
    """Write down that somebody reads what came from other people's conversations."""
    others = {
        str(one.conversation_id) for one in questions if one.conversation and one.conversation.owner_id != user.pk
    }
    since = timezone.now() - TOLD_AGAIN_AFTER
    known = AuditEntry.objects.filter(actor_id=user.pk, action=action, target_id=str(rehearsal.pk), at__gt=since)
    if others and not (action == "rehearsal.read" and known.exists()):
        target = Target(kind="rehearsal", id=str(rehearsal.pk))
        audit.append(action, user, target, conversations=sorted(others))


def progress(request: HttpRequest, rehearsal: Rehearsal) -> HttpResponse:
    """Return how far it is, and the state of each answer; no texts."""
    totals = comparing.totals(rehearsal)
    answers = RehearsedAnswer.objects.filter(
        question__in=opening.readable(rehearsal, cast("User", request.user))
    ).order_by("question", "side")
    states: dict[int, str] = {}
    for question, status in answers.values_list("question", "status"):
        states[question] = f"{states.get(question, '')} {status}".strip()
    percent = totals.percent
    words = progress_words(totals)
    return JsonResponse({"to_come": totals.to_come, "percent": percent, "words": words, "states": states})


def vote(request: HttpRequest, rehearsal: Rehearsal) -> HttpResponse:
    """Store which side somebody finds better."""
    number, choice = request.POST.get("question", ""), request.POST.get("choice", "")
    readable = opening.readable(rehearsal, cast("User", request.user))
    question = get_object_or_404(readable, pk=int(number) if number.isdecimal() else 0)
    if choice and choice not in Choice.values:
        return HttpResponse(_("This is no vote."), status=400, content_type="text/plain")
    comparing.vote(question, cast("User", request.user), choice)
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"choice": choice, "votes": comparing.totals(rehearsal).votes})
    back = request.POST.get("back", "")
    query = back if back.startswith("?") else ""
    return HttpResponseRedirect(f"{_address(rehearsal)}{query}#question-{question.pk}")


def open_all(request: HttpRequest, rehearsal: Rehearsal) -> HttpResponse:
    """Let who says why read what is of other people's conversations, for a while."""
    user, reason = cast("User", request.user), request.POST.get("reason", "").strip()[:500]
    if not user.has_perm(opening.PERMISSION):
        raise PermissionDenied
    if len(reason) < LEAST_REASON:
        messages.error(request, _("Say in a few words why: some of these conversations are other people's."))
    else:
        opening.open_rehearsal(rehearsal, user, reason)
    return HttpResponseRedirect(_address(rehearsal))


def cancel(request: HttpRequest, rehearsal: Rehearsal) -> HttpResponse:
    """End what is still to come."""
    number = comparing.cancel(rehearsal)
    messages.success(request, ngettext("%d answer was cancelled.", "%d answers were cancelled.", number) % number)
    return HttpResponseRedirect(_address(rehearsal))


def again(request: HttpRequest, rehearsal: Rehearsal) -> HttpResponse:
    """Ask once more what got no answer."""
    number = comparing.run_again(rehearsal)
    runner.wake()
    messages.success(request, ngettext("%d answer is written again.", "%d answers are written again.", number) % number)
    return HttpResponseRedirect(_address(rehearsal))


def export(request: HttpRequest, rehearsal: Rehearsal) -> HttpResponse | StreamingHttpResponse:
    """Return all that this person may read of it as JSON Lines, or as a table (``?format=csv``)."""
    user = cast("User", request.user)
    questions = list(opening.readable(rehearsal, user))
    _tell(rehearsal, user, questions, "rehearsal.exported")
    rows = comparing.rows(questions, user)
    is_table = request.GET.get("format") == "csv"
    # For spreadsheets: without the mark they take UTF-8 for something else.
    content = "\ufeff" + "".join(exporting.as_csv(rows)) if is_table else "".join(exporting.as_json_lines(rows))
    kind, ending = ("text/csv", "csv") if is_table else ("application/jsonl", "jsonl")
    response = HttpResponse(content, content_type=f"{kind}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="rehearsal-{rehearsal.pk}.{ending}"'
    response["Cache-Control"] = "no-store"
    return response


def switch(request: HttpRequest, rehearsal: Rehearsal) -> HttpResponse:
    """Show what would change, and change it: the assistant gets the rehearsed settings."""
    user = cast("User", request.user)
    if not user.has_perm("chat.change_assistant"):
        raise PermissionDenied
    if request.method == "POST":
        over = request.POST.get("over", "")
        try:
            assistant: Assistant = switching.switch(rehearsal, user, over=int(over) if over.isdecimal() else 0)
        except ValidationError as error:
            for reason in error.messages:
                messages.error(request, reason)
            return HttpResponseRedirect(reverse("admin:chat_rehearsal_switch", args=[rehearsal.pk]))
        messages.success(request, _("%s answers with these settings from now on.") % assistant)
        return HttpResponseRedirect(reverse("admin:chat_assistant_versions", args=[assistant.pk]))
    context = context_of(request, rehearsal, title=_("Apply to %s") % rehearsal.assistant_name)
    return render(request, "admin/chat/rehearsal/switch.html", context | candidate_context(rehearsal))


def _address(rehearsal: Rehearsal) -> str:
    return reverse("admin:chat_rehearsal_change", args=[rehearsal.pk])
