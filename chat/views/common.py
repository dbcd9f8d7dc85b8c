"""What all views share: who asks, what is theirs, and the words and statuses of what is refused."""

from __future__ import annotations

import math
import uuid
from typing import Any, cast

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from backends import chat_backends
from chat.forms import QuestionForm
from chat.models import Assistant, Conversation, Message, User
from chat.refusals import (
    AssistantGoneError,
    ConversationBusyError,
    ConversationGoneError,
    CoolingOffError,
    DrainedError,
    FolderGoneError,
    KeyReusedError,
    MessageGoneError,
    ModeratedError,
    NotContinuableError,
    QuotaExceededError,
    RefusedError,
    SiteBusyError,
    TooManyUnfinishedError,
)
from chat.wording import wait_words

REFUSALS: dict[type[RefusedError], tuple[int, Promise]] = {
    AssistantGoneError: (422, _("This assistant is not there any more. Choose another one.")),
    ConversationBusyError: (409, _("An answer is still being written here. Wait for it, or cancel it.")),
    ConversationGoneError: (404, _("This conversation was deleted.")),
    CoolingOffError: (503, _("The model of this assistant does not answer now. You can choose another assistant.")),
    DrainedError: (503, _("This assistant is being serviced. Choose another one, or try again later.")),
    FolderGoneError: (422, _("This folder is not there any more. Choose another one.")),
    KeyReusedError: (422, _("This text was changed after it had been sent. Send it again to ask anew.")),
    MessageGoneError: (404, _("This message was deleted.")),
    ModeratedError: (422, _("This message cannot be sent. Put it in other words.")),
    NotContinuableError: (409, _("There is nothing to continue here. Reload the page.")),
    QuotaExceededError: (429, _("You have used all that you may use for now.")),
    SiteBusyError: (503, _("The site is very busy. Try again in a moment.")),
    TooManyUnfinishedError: (
        429,
        _("Many of your answers are still being written. Wait for one of them, or cancel one."),
    ),
}

pages_and_forms = require_http_methods(["GET", "HEAD", "POST"])


def user_of(request: HttpRequest) -> User:
    return cast("User", request.user)


def wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def get_conversation_for_user(request: HttpRequest, pk: uuid.UUID) -> Conversation:
    """Return a conversation of this person; a stranger's is as absent as one that never was."""
    own = Conversation.objects.owned_by(user_of(request)).select_related("assistant", "owner")
    return get_object_or_404(own, pk=pk)


def get_message_for_user(request: HttpRequest, pk: uuid.UUID, message: int) -> Message:
    own = Message.objects.owned_by(user_of(request)).select_related("conversation__owner", "generation__assistant")
    return get_object_or_404(own, conversation=pk, pk=message)


def get_answer_for_user(request: HttpRequest, pk: uuid.UUID, message: int) -> Message:
    answer = get_message_for_user(request, pk, message)
    if not hasattr(answer, "generation"):
        raise Http404
    return answer


def assistants_for(request: HttpRequest) -> QuerySet[Assistant]:
    return Assistant.objects.usable_by(user_of(request), chat_backends)


def chosen_assistant(
    request: HttpRequest, assistants: list[Assistant], conversation: Conversation | None, form: QuestionForm | None
) -> Assistant | None:
    """Return the assistant that the page offers first: the one just sent, asked for, or used last."""
    wanted = (form.data.get("assistant") if form else None) or request.GET.get("assistant")
    for assistant in assistants:
        if assistant.slug == wanted:
            return assistant
    used = conversation.assistant_id if conversation else None
    return next((assistant for assistant in assistants if assistant.pk == used), assistants[0] if assistants else None)


def words_of(error: RefusedError) -> tuple[int, str]:
    """Return the HTTP status of a refusal, and why and until when in words; a subclass may do without its own."""
    status, words = next(REFUSALS[kind] for kind in type(error).__mro__ if kind in REFUSALS)
    # Of one that an administrator caused, in their own words where they gave any.
    reason = (str(error) if isinstance(error, DrainedError | ModeratedError) else "") or str(words)
    if error.resets_at is None:
        return status, reason
    seconds = math.ceil((error.resets_at - timezone.now()).total_seconds())
    if seconds < 60:
        return status, f"{reason} {wait_words(seconds)}".strip()
    at = timezone.localtime(error.resets_at)
    form = "TIME_FORMAT" if at.date() == timezone.localdate() else "SHORT_DATETIME_FORMAT"
    until = _("You can go on at %(time)s.") % {"time": date_format(at, form)}
    return status, f"{reason} {until}"


def with_retry_after(response: HttpResponse, error: RefusedError | None) -> HttpResponse:
    """Tell programs, too, when it is no longer refused."""
    if error and error.resets_at:
        seconds = math.ceil((error.resets_at - timezone.now()).total_seconds())
        response["Retry-After"] = str(max(seconds, 0))
    return response


def render_part(request: HttpRequest, part: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Return what belongs to one message: as a page of its own, or for a script that has a place for it.

    ``heading`` says what it is.
    """
    if wants_json(request):
        html = render_to_string(part, context, request)
        return JsonResponse({"heading": str(context["heading"]), "html": html}, status=status)
    return render(request, "chat/message.html", context | {"part": part}, status=status)


def refuse(request: HttpRequest, message: Message, error: RefusedError) -> HttpResponse:
    status, reason = words_of(error)
    if wants_json(request):
        return with_retry_after(JsonResponse({"errors": {"__all__": [reason]}}, status=status), error)
    is_left = not isinstance(error, ConversationGoneError)
    context = {"reason": reason, "conversation": message.conversation if is_left else None}
    return with_retry_after(render(request, "chat/refused.html", context, status=status), error)
