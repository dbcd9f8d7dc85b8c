"""What is done to a message without asking anybody: forked, deleted, looked at closely."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from chat import history, pages
from chat.forking import fork_conversation
from chat.refusals import ConversationGoneError, RefusedError
from chat.retention.pruning import delete_message
from chat.views.common import (
    get_answer_for_user,
    get_message_for_user,
    pages_and_forms,
    refuse,
    render_part,
    wants_json,
)


@require_POST
@login_required
def fork(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Make a conversation of the branch up to this message, and open it."""
    found = get_message_for_user(request, pk, message)
    try:
        conversation = fork_conversation(found)
    except RefusedError as error:
        return refuse(request, found, error)
    if wants_json(request):
        return JsonResponse({"url": conversation.get_absolute_url()}, status=201)
    return redirect(conversation)


@pages_and_forms
@never_cache
@login_required
def delete(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Delete the message with all that follows it, after a question that says how much that is."""
    found = get_message_for_user(request, pk, message)
    if request.method != "POST":
        context: dict[str, Any] = {
            "heading": _("Delete the message?"),
            "conversation": found.conversation,
            "message": found,
            "following": len(history.with_all_below(found)) - 1,
            "versions": len(history.siblings(found.conversation, [found])[found.pk]) - 1,
        }
        return render_part(request, "chat/_delete_message.html", context)
    try:
        deleted = delete_message(found)
    except ConversationGoneError as error:
        raise Http404 from error
    except RefusedError as error:
        return refuse(request, found, error)
    return JsonResponse({"deleted": deleted}) if wants_json(request) else redirect(found.conversation)


@require_safe
@never_cache
@login_required
def details(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Show how an answer came to be."""
    answer = get_answer_for_user(request, pk, message)
    context: dict[str, Any] = {
        "heading": _("About this answer"),
        "conversation": answer.conversation,
        "message": answer,
        "details": pages.details(answer.generation),
    }
    return render_part(request, "chat/_details.html", context)
