"""What people think of answers."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from chat.feedback import give_feedback, take_back
from chat.forms import FeedbackForm
from chat.models import Feedback, Message, Rating
from chat.refusals import RefusedError
from chat.views.common import get_answer_for_user, pages_and_forms, refuse, render_part, user_of, wants_json


@pages_and_forms
@never_cache
@login_required
def feedback(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Store a thumb, or what the form below it says; or show that form."""
    answer = get_answer_for_user(request, pk, message)
    if request.method == "POST" and "take_back" in request.POST:
        take_back(answer, user_of(request))
        return JsonResponse({"value": None}) if wants_json(request) else _back_to(answer)
    given = answer.feedback.filter(person=user_of(request)).first()
    if request.method != "POST":
        return _render_form(request, answer, given)
    value = Rating.BAD if request.POST.get("value") == str(Rating.BAD) else Rating.GOOD
    form = FeedbackForm(request.POST, value=value)
    if not form.is_valid():
        if wants_json(request):
            return JsonResponse({"errors": form.errors}, status=422)
        return _render_form(request, answer, given, form, 422)
    opinion = form.opinion()
    try:
        given = give_feedback(answer, user_of(request), opinion)
    except RefusedError as error:
        return refuse(request, answer, error)
    # A thumb leads to the form, which leads back.
    if wants_json(request):
        return _render_form(request, answer, given)
    return _back_to(answer) if opinion.comment is not None else redirect(request.path)


def _back_to(answer: Message) -> HttpResponse:
    return redirect(f"{answer.conversation.get_absolute_url()}#message-{answer.pk}")


def _render_form(
    request: HttpRequest, answer: Message, given: Feedback | None, form: FeedbackForm | None = None, status: int = 200
) -> HttpResponse:
    # Without a form, the part asks for a thumb first.
    if form is None and given:
        initial = {"value": given.value, "reasons": given.reasons, "comment": given.comment}
        initial["shares_exchange"] = given.shares_exchange
        form = FeedbackForm(initial=initial, value=given.value, auto_id=f"feedback-{answer.pk}-%s")
    context: dict[str, Any] = {
        "heading": _("Your feedback"),
        "conversation": answer.conversation,
        "message": answer,
        "form": form,
        "given": given,
    }
    return render_part(request, "chat/_feedback.html", context, status)
