"""The pages. One function per URL: fetch as its owner, validate with a form, call one verb, answer.

A page that is asked for with ``Accept: application/json`` answers in JSON; without JavaScript every form is a plain
POST that redirects.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, cast
from urllib.parse import quote

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from backends import InvalidChatBackend, chat_backends
from chat import events, history, pages
from chat.accounts import is_owner_token, needs_owner
from chat.conversations import delete_conversation, rename_conversation, show_branch
from chat.forms import OwnerForm, QuestionForm, TitleForm
from chat.generation import (
    Question,
    cancel_generation,
    continue_generation,
    edit_question,
    regenerate,
    start_conversation,
    start_generation,
)
from chat.models import Assistant, Conversation, Generation, Message, Role, User
from chat.refusals import (
    AssistantGoneError,
    ConversationBusyError,
    ConversationGoneError,
    KeyReusedError,
    NotContinuableError,
    RefusedError,
    SiteBusyError,
    TooManyUnfinishedError,
)
from chat.runner import runner

_REFUSALS: dict[type[RefusedError], tuple[int, Promise]] = {
    AssistantGoneError: (422, _("This assistant is not there any more. Choose another one.")),
    ConversationBusyError: (409, _("An answer is still being written here. Wait for it, or cancel it.")),
    ConversationGoneError: (404, _("This conversation was deleted.")),
    KeyReusedError: (422, _("This text was changed after it had been sent. Send it again to ask anew.")),
    NotContinuableError: (409, _("There is nothing to continue here. Reload the page.")),
    SiteBusyError: (503, _("The site is very busy. Try again in a moment.")),
    TooManyUnfinishedError: (
        429,
        _("Many of your answers are still being written. Wait for one of them, or cancel one."),
    ),
}
"""What people are told of each refusal, and its HTTP status; what is wrong with a form is 422."""

_pages_and_forms = require_http_methods(["GET", "HEAD", "POST"])


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)


def _wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def _get_conversation_for_user(request: HttpRequest, pk: uuid.UUID) -> Conversation:
    """Return a conversation of this person; a stranger's is as absent as one that never was."""
    own = Conversation.objects.owned_by(_user(request)).select_related("assistant", "owner")
    return get_object_or_404(own, pk=pk)


def _get_message_for_user(request: HttpRequest, pk: uuid.UUID, message: int) -> Message:
    own = Message.objects.owned_by(_user(request)).select_related("conversation__owner", "generation__assistant")
    return get_object_or_404(own, conversation=pk, pk=message)


def _get_answer_for_user(request: HttpRequest, pk: uuid.UUID, message: int) -> Message:
    answer = _get_message_for_user(request, pk, message)
    if not hasattr(answer, "generation"):
        raise Http404
    return answer


def _assistants(request: HttpRequest) -> QuerySet[Assistant]:
    return Assistant.objects.usable_by(_user(request), chat_backends)


def _sends_data_away(assistant: Assistant) -> bool:
    try:
        return chat_backends[assistant.backend].sends_data_away
    except InvalidChatBackend:
        return True


def _render_page(
    request: HttpRequest, conversation: Conversation | None, *, form: QuestionForm | None = None, status: int = 200
) -> HttpResponse:
    """Return the chat page; the place in the event stream is taken before the text is read."""
    user = _user(request)
    channels = [events.user_channel(user.pk)]
    events_path = reverse("chat:user_events")
    if conversation:
        channels.append(events.conversation_channel(conversation.pk))
        events_path = reverse("chat:events", args=[conversation.pk])
    event_id = events.current_event_id(channels)
    assistants = list(_assistants(request))
    for assistant in assistants:
        assistant.sends_data_away = _sends_data_away(assistant)  # type: ignore[attr-defined]
    context: dict[str, Any] = {
        "conversation": conversation,
        "sidebar": pages.sidebar(user),
        "assistants": assistants,
        "assistant": _chosen(request, assistants, conversation, form),
        "events_url": f"{events_path}?lastEventId={quote(event_id)}",
        "form": form or QuestionForm(assistants=_assistants(request)),
        "turns": [],
        "earlier_url": None,
    }
    if conversation:
        context |= _turns_context(request, conversation)
    return render(request, "chat/conversation.html", context, status=status)


def _chosen(
    request: HttpRequest, assistants: list[Assistant], conversation: Conversation | None, form: QuestionForm | None
) -> Assistant | None:
    """Return the assistant that the page offers first: the one just sent, asked for, or used last."""
    wanted = (form.data.get("assistant") if form else None) or request.GET.get("assistant")
    for assistant in assistants:
        if assistant.slug == wanted:
            return assistant
    used = conversation.assistant_id if conversation else None
    return next((assistant for assistant in assistants if assistant.pk == used), assistants[0] if assistants else None)


def _turns_context(request: HttpRequest, conversation: Conversation) -> dict[str, Any]:
    newest = conversation.leaf_id
    if before := request.GET.get("before"):
        newest = get_object_or_404(conversation.messages, pk=before).parent_id if before.isdecimal() else newest
    shown = history.branch(conversation, newest, settings.CHAT_PAGE_MESSAGES)
    earlier = shown[0].pk if shown and shown[0].parent_id else None
    return {
        "turns": pages.turns(conversation, shown),
        "earlier_url": f"{conversation.get_absolute_url()}?before={earlier}" if earlier else None,
    }


def _render_turns(request: HttpRequest, conversation: Conversation, shown: list[Message]) -> str:
    return "".join(
        render_to_string("chat/_turn.html", {"turn": turn, "conversation": conversation}, request)
        for turn in pages.turns(conversation, shown)
    )


def _answer_with_turns(request: HttpRequest, generation: Generation, count: int) -> HttpResponse:
    """Start the work and show the newest ``count`` turns."""
    runner.wake()
    answer = generation.message
    conversation = answer.conversation
    if not _wants_json(request):
        return redirect(conversation)
    shown = history.branch(conversation, answer.pk, count)
    data = {
        "url": conversation.get_absolute_url(),
        "messages": [message.pk for message in shown],
        "html": _render_turns(request, conversation, shown),
    }
    return JsonResponse(data, status=201)


def _send(
    request: HttpRequest,
    store: Callable[[Question], Generation],
    show: Callable[[QuestionForm, int], HttpResponse],
) -> HttpResponse:
    """Store what was sent and start the answer, or say why not; what was typed comes back."""
    form = QuestionForm(request.POST, assistants=_assistants(request))
    status = 422
    if form.is_valid():
        try:
            return _answer_with_turns(request, store(form.question()), 2)
        except RefusedError as error:
            status, reason = _REFUSALS[type(error)]
            form.add_error(None, str(reason))
            if isinstance(error, KeyReusedError):
                form.renew_key()
    if _wants_json(request):
        return JsonResponse({"errors": form.errors}, status=status)
    return show(form, status)


@_pages_and_forms
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Show an empty page, or make a conversation of its first message."""
    if request.method != "POST":
        return _render_page(request, None)
    store = partial(start_conversation, _user(request))
    return _send(request, store, lambda form, status: _render_page(request, None, form=form, status=status))


@require_safe
@login_required
def conversation(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show the newest turns of a branch, or with ``?before=<id>`` the ones before a message."""
    return _render_page(request, _get_conversation_for_user(request, pk))


@_pages_and_forms
@login_required
def messages(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Send a message, or return the shown branch as JSON, for a page that missed something."""
    conversation = _get_conversation_for_user(request, pk)
    if request.method == "POST":
        return _send(request, partial(start_generation, conversation), partial(_render_refused, request, conversation))
    channels = [events.user_channel(_user(request).pk), events.conversation_channel(pk)]
    event_id = events.current_event_id(channels)
    shown = history.branch(conversation, conversation.leaf_id, settings.CHAT_PAGE_MESSAGES)
    return JsonResponse({"event_id": event_id, "messages": [_snapshot(message) for message in shown]})


def _render_refused(request: HttpRequest, conversation: Conversation, form: QuestionForm, status: int) -> HttpResponse:
    """Return the page with what was typed; if the conversation is gone an empty one, from where it can be sent."""
    return _render_page(request, None if status == 404 else conversation, form=form, status=status)


def _snapshot(message: Message) -> dict[str, Any]:
    generation: Generation | None = getattr(message, "generation", None)
    return {
        "id": message.pk,
        "parent": message.parent_id,
        "role": message.role,
        "text": message.content,
        "status": generation.status if generation else None,
        "stage": generation.stage if generation else "",
        "position": generation.stage_position if generation else None,
    }


@require_safe
@never_cache
@login_required
def turn(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Return one turn as HTML."""
    found = _get_message_for_user(request, pk, message)
    return HttpResponse(_render_turns(request, found.conversation, history.branch(found.conversation, found.pk, 1)))


@_pages_and_forms
@never_cache
@login_required
def edit(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Ask an earlier question in other words, which makes a branch of its own; or show the form for that."""
    question = _get_message_for_user(request, pk, message)
    if question.role != Role.USER:
        raise Http404
    show = partial(_render_edit, request, question)
    if request.method == "POST":
        return _send(request, partial(edit_question, question), show)
    assistant = _chosen(request, list(_assistants(request)), question.conversation, None)
    initial = {"content": question.content, "assistant": assistant.slug if assistant else None}
    return show(QuestionForm(initial=initial, assistants=_assistants(request)), 200)


def _render_edit(request: HttpRequest, question: Message, form: QuestionForm, status: int) -> HttpResponse:
    context = {"conversation": question.conversation, "question": question, "form": form}
    return render(request, "chat/edit.html", context, status=status)


@require_POST
@login_required
def regenerate_answer(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Ask for another answer to the same question, of the same assistant or of another one."""
    answer = _get_answer_for_user(request, pk, message)
    assistant = _assistant_for(request, answer)
    if assistant is None:
        return _refuse(request, answer, AssistantGoneError())
    try:
        return _answer_with_turns(request, regenerate(answer, assistant), 1)
    except RefusedError as error:
        return _refuse(request, answer, error)


@require_POST
@login_required
def continue_answer(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Let an answer that was cut go on where it stopped."""
    answer = _get_answer_for_user(request, pk, message)
    try:
        return _answer_with_turns(request, continue_generation(answer), 1)
    except RefusedError as error:
        return _refuse(request, answer, error)


def _assistant_for(request: HttpRequest, answer: Message) -> Assistant | None:
    usable = _assistants(request)
    if slug := request.POST.get("assistant"):
        return usable.filter(slug=slug).first()
    return usable.filter(pk=answer.generation.assistant_id or 0).first()


def _refuse(request: HttpRequest, message: Message, error: RefusedError) -> HttpResponse:
    status, reason = _REFUSALS[type(error)]
    if _wants_json(request):
        return JsonResponse({"errors": {"__all__": [reason]}}, status=status)
    context = {"reason": reason, "conversation": message.conversation if status != 404 else None}
    return render(request, "chat/refused.html", context, status=status)


@require_POST
@login_required
def cancel(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """End an answer that is being written; the text so far is kept. Harmless when it is over."""
    answer = _get_answer_for_user(request, pk, message)
    if cancel_generation(answer.generation):
        runner.cancel(answer.pk)
    return HttpResponse(status=204) if _wants_json(request) else redirect(answer.conversation)


@require_POST
@login_required
def show(request: HttpRequest, pk: uuid.UUID, message: int) -> HttpResponse:
    """Show the branch that goes through this message."""
    found = _get_message_for_user(request, pk, message)
    try:
        show_branch(found)
    except ConversationGoneError as error:
        raise Http404 from error
    return redirect(f"{found.conversation.get_absolute_url()}#message-{found.pk}")


@_pages_and_forms
@login_required
def rename(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Give the conversation another title."""
    conversation = _get_conversation_for_user(request, pk)
    form = TitleForm(request.POST or None, instance=conversation)
    if request.method == "POST" and form.is_valid():
        try:
            rename_conversation(conversation, form.cleaned_data["title"])
        except ConversationGoneError as error:
            raise Http404 from error
        if _wants_json(request):
            return JsonResponse({"title": conversation.title})
        return redirect(conversation)
    if request.method == "POST" and _wants_json(request):
        return JsonResponse({"errors": form.errors}, status=422)
    return render(request, "chat/rename.html", {"conversation": conversation, "form": form})


@_pages_and_forms
@login_required
def delete(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Delete the conversation with all its messages, after a question; an answer in progress ends."""
    conversation = _get_conversation_for_user(request, pk)
    if request.method != "POST":
        return render(request, "chat/delete.html", {"conversation": conversation})
    for pk_of_running in delete_conversation(conversation):
        runner.cancel(pk_of_running)
    return JsonResponse({"url": reverse("chat:home")}) if _wants_json(request) else redirect("chat:home")


@require_safe
@login_required
def export(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Download the shown branch as Markdown."""
    conversation = _get_conversation_for_user(request, pk)
    whole = history.branch(conversation, conversation.leaf_id, limit=100_000)
    response = HttpResponse(pages.as_markdown(conversation, whole), content_type="text/markdown; charset=utf-8")
    name = slugify(conversation.title, allow_unicode=True) or "conversation"
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=f"{name}.md")
    return response


@require_GET
async def conversation_events(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Stream what happens in the conversation and in the person's list."""
    user = await _auser(request)
    if user is None or not await Conversation.objects.owned_by(user).filter(pk=pk).aexists():
        raise Http404
    return await events.event_response(request, user, [events.user_channel(user.pk), events.conversation_channel(pk)])


@require_GET
async def user_events(request: HttpRequest) -> HttpResponseBase:
    """Stream what happens in the person's list."""
    user = await _auser(request)
    if user is None:
        raise Http404
    return await events.event_response(request, user, [events.user_channel(user.pk)])


async def _auser(request: HttpRequest) -> User | None:
    """Return who asks, or None: an EventSource cannot follow a redirect to a log-in page."""
    user = await request.auser()
    return user if user.is_authenticated else None


@_pages_and_forms
@never_cache
@sensitive_post_parameters("password1", "password2")
def setup(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first administrator, for the one who has the link from the server's terminal."""
    if not is_owner_token(token):
        return render(request, "chat/setup.html", {"form": None}, status=404)
    form = OwnerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            # Asked again under the lock: a link opened twice makes one owner.
            if not needs_owner():
                return render(request, "chat/setup.html", {"form": None}, status=404)
            owner = form.save()
        login(request, owner, backend=settings.AUTHENTICATION_BACKENDS[0])
        return redirect("chat:home")
    return render(request, "chat/setup.html", {"form": form}, status=200 if request.method != "POST" else 422)
