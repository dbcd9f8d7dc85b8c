"""The event streams that the pages listen to."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET

from chat import events
from chat.models import Conversation, User


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
