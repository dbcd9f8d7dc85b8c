"""The chat page, and the messages that are sent from it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat import events, history, pages, quotas
from chat.forms import QuestionForm
from chat.generation import Question, start_conversation, start_generation
from chat.models import Conversation, Generation, Message, Status, User
from chat.moderation import moderating
from chat.refusals import KeyReusedError, RefusedError
from chat.retention import rules as retention
from chat.runner import runner
from chat.views.assistants import assistants_to_choose
from chat.views.common import (
    assistants_for,
    chosen_assistant,
    get_conversation_for_user,
    get_message_for_user,
    pages_and_forms,
    user_of,
    wants_json,
    with_retry_after,
    words_of,
)
from chat.views.organising import shown_listing

WHOLE = 5000
"""Messages at most on the page that shows a whole conversation."""


@pages_and_forms
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Show an empty page, or make a conversation of its first message."""
    if request.method != "POST":
        return render_page(request, None)
    store = partial(start_conversation, user_of(request))
    return send(request, store, lambda form, status: render_page(request, None, form=form, status=status))


@require_safe
@login_required
def conversation(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show the newest turns of a conversation, or those at the place that the address names.

    ``?before=<id>`` and ``?after=<id>`` are the turns beside a message, ``?message=<id>`` those around it on its
    branch, ``?all`` is the whole branch. As JSON these are turns for a page that is open and goes on in that direction.
    """
    found = get_conversation_for_user(request, pk)
    if wants_json(request):
        response: HttpResponse = JsonResponse(_stretch_as_json(request, found))
        add_never_cache_headers(response)
    else:
        response = render_page(request, found)
    # The browser may keep both, and shall not show one for the other.
    patch_vary_headers(response, ["Accept"])
    return response


def _stretch_as_json(request: HttpRequest, conversation: Conversation) -> dict[str, Any]:
    stretch = _stretch(request, conversation)
    return {
        "html": render_turns(request, conversation, stretch.messages),
        "has_earlier": stretch.has_earlier,
        "has_newer": stretch.has_newer,
        "is_live": stretch.is_live,
    }


@pages_and_forms
@login_required
def messages(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Send a message, or return the shown branch as JSON, for a page that missed something."""
    conversation = get_conversation_for_user(request, pk)
    if request.method == "POST":
        show = partial(_render_refused, request, conversation)
        return send(request, partial(start_generation, conversation), show, conversation)
    channels = [events.user_channel(user_of(request).pk), events.conversation_channel(pk)]
    event_id = events.current_event_id(channels)
    shown = history.branch(conversation, conversation.leaf_id, settings.CHAT_PAGE_MESSAGES)
    return JsonResponse({"event_id": event_id, "messages": [_snapshot(message) for message in shown]})


def _render_refused(request: HttpRequest, conversation: Conversation, form: QuestionForm, status: int) -> HttpResponse:
    """Return the page with what was typed; if the conversation is gone an empty one, from where it can be sent."""
    return render_page(request, None if status == 404 else conversation, form=form, status=status)


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
    """Return one turn as HTML, or as JSON what is stored of it."""
    found = get_message_for_user(request, pk, message)
    alone = history.branch(found.conversation, found.pk, 1)
    if not alone:
        raise Http404  # deleted a moment ago
    if wants_json(request):
        return JsonResponse(_snapshot(alone[0]))
    return HttpResponse(render_turns(request, found.conversation, alone))


def send(
    request: HttpRequest,
    store: Callable[[Question], Generation],
    show: Callable[[QuestionForm, int], HttpResponse],
    conversation: Conversation | None = None,
) -> HttpResponse:
    """Store what was sent and start the answer, or say why not; what was typed comes back."""
    form = QuestionForm(request.POST, assistants=assistants_for(request), conversation=conversation)
    status, refusal = 422, None
    if form.is_valid():
        try:
            return answer_with_turns(request, _moderated(user_of(request), form.question(), store, conversation), 2)
        except RefusedError as error:
            refusal = error
            status, reason = words_of(error)
            form.add_error(None, reason)
            if isinstance(error, KeyReusedError):
                form.renew_key()
    if wants_json(request):
        return with_retry_after(JsonResponse({"errors": form.errors}, status=status), refusal)
    return with_retry_after(show(form, status), refusal)


def _moderated(
    user: User, question: Question, store: Callable[[Question], Generation], conversation: Conversation | None
) -> Generation:
    """Store the question if moderation lets it be sent; what it flagged is written down with it.

    Raises:
        RefusedError: it is not sent.
    """
    found = moderating.check_question(user, question.content, conversation)
    generation = store(question)
    if found and generation.message.parent:
        moderating.flag_question(generation.message.parent, user, found)
    return generation


def answer_with_turns(request: HttpRequest, generation: Generation, count: int) -> HttpResponse:
    """Start the work and show the newest ``count`` turns."""
    runner.wake()
    answer = generation.message
    conversation = answer.conversation
    if not wants_json(request):
        return redirect(conversation)
    if generation.status == Status.QUEUED and not answer.content:
        shown = [message for message in (answer.parent, answer) if message][-count:]  # as they were just stored
    else:
        shown = history.branch(conversation, answer.pk, count)
    data = {
        "url": conversation.get_absolute_url(),
        "messages": [message.pk for message in shown],
        "html": render_turns(request, conversation, shown),
    }
    return JsonResponse(data, status=201)


def render_page(
    request: HttpRequest, conversation: Conversation | None, *, form: QuestionForm | None = None, status: int = 200
) -> HttpResponse:
    """Return the chat page; the place in the event stream is taken before the text is read."""
    user = user_of(request)
    channels = [events.user_channel(user.pk)]
    events_path = reverse("chat:user_events")
    if conversation:
        channels.append(events.conversation_channel(conversation.pk))
        events_path = reverse("chat:events", args=[conversation.pk])
    event_id = events.current_event_id(channels)
    assistants = assistants_to_choose(request)
    form = form or QuestionForm(assistants=assistants_for(request), conversation=conversation)
    chosen = chosen_assistant(request, assistants, conversation, form)
    keeping = retention.keeping_for(user) if conversation else None
    context: dict[str, Any] = {
        "conversation": conversation,
        "goes_at": keeping.goes_at(conversation) if keeping and conversation else None,
        "listing": shown_listing(request),
        "assistants": assistants,
        "assistant": chosen,
        "events_url": f"{events_path}?lastEventId={quote(event_id)}",
        "form": form,
        "panel": form.panel(chosen),
        "meter": next((meter for meter in quotas.meters(user, chosen) if meter.is_near), None),
        "most_characters": settings.CHAT_MAX_MESSAGE_LENGTH,
        "turns": [],
        "is_live": True,
    }
    if conversation:
        context |= _turns_context(request, conversation)
    return render(request, "chat/conversation.html", context, status=status)


def _turns_context(request: HttpRequest, conversation: Conversation) -> dict[str, Any]:
    stretch = _stretch(request, conversation)
    url = conversation.get_absolute_url()
    shown = stretch.messages
    wanted = request.GET.get("message", "")
    return {
        "turns": pages.turns(conversation, shown),
        "earlier_url": f"{url}?before={shown[0].pk}" if stretch.has_earlier else None,
        "newer_url": f"{url}?after={shown[-1].pk}" if shown and stretch.has_newer else None,
        "is_live": stretch.is_live,
        "other_branch": None if stretch.is_shown else wanted,
    }


def _stretch(request: HttpRequest, conversation: Conversation) -> history.Stretch:
    """Return the messages at the place that the address names; without one that is a number, the newest."""
    limit = settings.CHAT_PAGE_MESSAGES
    for word, find in (("before", history.before), ("after", history.after), ("message", history.around)):
        place = request.GET.get(word, "")
        if place.isdecimal():
            return find(conversation, get_object_or_404(conversation.messages, pk=place), limit)
    return history.newest(conversation, max(WHOLE, limit) if "all" in request.GET else limit)


def render_turns(request: HttpRequest, conversation: Conversation, shown: list[Message]) -> str:
    return "".join(
        render_to_string("chat/_turn.html", {"turn": turn, "conversation": conversation}, request)
        for turn in pages.turns(conversation, shown)
    )
