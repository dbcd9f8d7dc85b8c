"""What is done to a message: asked in other words, answered again, continued, cancelled, shown."""

from __future__ import annotations

import uuid
from functools import partial

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from chat.conversations import show_branch
from chat.forms import ParametersForm, QuestionForm
from chat.generation import cancel_generation, continue_generation, edit_question, regenerate
from chat.models import Assistant, Message, Role
from chat.refusals import AssistantGoneError, ConversationGoneError, RefusedError
from chat.runner import runner
from chat.views.common import (
    assistants_for,
    chosen_assistant,
    get_answer_for_user,
    get_message_for_user,
    pages_and_forms,
    refuse,
    wants_json,
)
from chat.views.page import answer_with_turns, send


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


@require_POST
@login_required
def regenerate_answer(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Ask for another answer to the same question, of the same assistant or of another one."""
    answer = get_answer_for_user(request, pk, message)
    assistant = _assistant_for(request, answer)
    if assistant is None:
        return refuse(request, answer, AssistantGoneError())
    changed = ParametersForm(request.POST, assistant=assistant, remembered=answer.conversation.parameters)
    if not changed.is_valid():
        return _refuse_values(request, answer, changed)
    try:
        return answer_with_turns(request, regenerate(answer, assistant, changed.cleaned_data), 1)
    except RefusedError as error:
        return refuse(request, answer, error)


def _refuse_values(request: HttpRequest, answer: Message, form: ParametersForm) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"errors": form.errors}, status=422)
    reason = " ".join(str(error) for errors in form.errors.values() for error in errors)
    return render(request, "chat/refused.html", {"reason": reason, "conversation": answer.conversation}, status=422)


def _assistant_for(request: HttpRequest, answer: Message) -> Assistant | None:
    usable = assistants_for(request)
    if slug := request.POST.get("assistant"):
        return usable.filter(slug=slug).first()
    return usable.filter(pk=answer.generation.assistant_id or 0).first()


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
    except ConversationGoneError as error:
        raise Http404 from error
    return redirect(f"{found.conversation.get_absolute_url()}#message-{found.pk}")
