"""What is done to a message: asked in other words, answered again, continued, cancelled, shown."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from chat import history
from chat.conversations import show_branch
from chat.forms import ParametersForm, QuestionForm
from chat.generation import cancel_generation, continue_generation, edit_question, regenerate
from chat.models import Assistant, Generation, Message, Role
from chat.refusals import AssistantGoneError, ConversationGoneError, MessageGoneError, RefusedError
from chat.runner import runner
from chat.views.assistants import assistants_to_choose
from chat.views.common import (
    assistants_for,
    chosen_assistant,
    get_answer_for_user,
    get_conversation_for_user,
    get_message_for_user,
    pages_and_forms,
    refuse,
    render_part,
    wants_json,
)
from chat.views.page import answer_with_turns, render_turns, send


@pages_and_forms
@never_cache
@login_required
def edit(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Ask an earlier question in other words, which makes a branch of its own; or show the form for that."""
    question = get_message_for_user(request, pk, message)
    if question.role != Role.USER:
        raise Http404
    show = partial(_render_edit, request, question)
    if request.method == "POST":
        return send(request, partial(edit_question, question), show, question.conversation)
    assistant = chosen_assistant(request, list(assistants_for(request)), question.conversation, None)
    initial = {"content": question.content, "assistant": assistant.slug if assistant else None}
    return show(QuestionForm(initial=initial, assistants=assistants_for(request)), 200)


def _render_edit(request: HttpRequest, question: Message, form: QuestionForm, status: int) -> HttpResponse:
    context = {"conversation": question.conversation, "question": question, "form": form}
    return render(request, "chat/edit.html", context, status=status)


@pages_and_forms
@never_cache
@login_required
def regenerate_answer(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Ask for another answer, of the same assistant or of another one; or show which ones there are.

    A question that has no answer any more is asked again by itself.
    """
    found = get_message_for_user(request, pk, message)
    if found.role == Role.USER and found.children.filter(role=Role.ASSISTANT).exists():
        raise Http404  # its answer is what can be asked for again
    if request.method != "POST":
        context: dict[str, Any] = {
            "heading": _("Answer again with…"),
            "conversation": found.conversation,
            "message": found,
            "assistants": assistants_to_choose(request),
            "used": _assistant_of(found),
        }
        return render_part(request, "chat/_again.html", context)
    assistant = _assistant_for(request, found)
    if assistant is None:
        return refuse(request, found, AssistantGoneError())
    changed = ParametersForm(request.POST, assistant=assistant, remembered=found.conversation.parameters)
    if not changed.is_valid():
        return _refuse_values(request, found, changed)
    try:
        return answer_with_turns(request, regenerate(found, assistant, changed.cleaned_data), 1)
    except RefusedError as error:
        return refuse(request, found, error)


def _refuse_values(request: HttpRequest, message: Message, form: ParametersForm) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"errors": form.errors}, status=422)
    reason = " ".join(str(error) for errors in form.errors.values() for error in errors)
    return render(request, "chat/refused.html", {"reason": reason, "conversation": message.conversation}, status=422)


def _assistant_of(message: Message) -> int:
    """Return the id of the assistant that answers again unless another one is chosen; 0 if it is gone."""
    generation: Generation | None = getattr(message, "generation", None)
    return (generation.assistant_id if generation else message.conversation.assistant_id) or 0


def _assistant_for(request: HttpRequest, message: Message) -> Assistant | None:
    usable = assistants_for(request)
    if slug := request.POST.get("assistant"):
        return usable.filter(slug=slug).first()
    return usable.filter(pk=_assistant_of(message)).first()


@require_POST
@login_required
def continue_answer(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Let an answer that was cut go on where it stopped."""
    answer = get_answer_for_user(request, pk, message)
    try:
        return answer_with_turns(request, continue_generation(answer), 1)
    except RefusedError as error:
        return refuse(request, answer, error)


@require_POST
@login_required
def cancel(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """End an answer that is being written; the text so far is kept. Harmless when it is over."""
    answer = get_answer_for_user(request, pk, message)
    if cancel_generation(answer.generation):
        runner.cancel(answer.pk)
    return HttpResponse(status=204) if wants_json(request) else redirect(answer.conversation)


@require_POST
@login_required
def show(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Show the branch that goes through this message."""
    found = get_message_for_user(request, pk, message)
    try:
        show_branch(found)
    except (ConversationGoneError, MessageGoneError) as error:
        raise Http404 from error
    if not wants_json(request):
        return redirect(f"{found.conversation.get_absolute_url()}#message-{found.pk}")
    conversation = get_conversation_for_user(request, pk)
    shown = history.branch(conversation, conversation.leaf_id, settings.CHAT_PAGE_MESSAGES)
    below = [item for item in shown if item.pk >= found.pk]
    # Ids grow along a branch. Where more follows than a page shows, the page has to be loaded anew.
    if not below or below[0].pk != found.pk:
        return JsonResponse({"url": conversation.get_absolute_url()})
    html = render_turns(request, conversation, below)
    return JsonResponse({"after": found.parent_id, "html": html})
