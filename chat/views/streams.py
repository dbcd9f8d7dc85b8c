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


@require_GET
async def live_events(request: HttpRequest) -> HttpResponseBase:
    """Stream what is going on, for administrators; titles for those who may see conversations."""
    user = await _auser(request)
    if user is None or not user.is_staff or not await user.ahas_perm("chat.view_generation"):
        raise Http404
    needed = ["chat.view_generation"]
    if await user.ahas_perm("chat.view_conversation"):
        needed.append("chat.view_conversation")
    channel = events.LIVE if len(needed) == 1 else events.LIVE_WITH_TITLES
    return await events.event_response(request, user, [channel], needed)


async def _auser(request: HttpRequest) -> User | None:
    """Return who asks, or None: an EventSource cannot follow a redirect to a log-in page."""
    user = await request.auser()
    return user if user.is_authenticated else None
