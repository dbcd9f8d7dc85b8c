"""What the browser hears: the only module that knows django-eventstream.

Events of a conversation go to the channel ``conversation-<uuid>``, those of a person's list to ``user-<pk>``; a page
listens to both through one EventSource. docs/streaming.md describes events, offsets and the resume rule.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django_eventstream.channelmanager import ChannelManagerBase
from django_eventstream.event import Event
from django_eventstream.eventrequest import EventRequest
from django_eventstream.eventstream import get_current_event_id, send_event
from django_eventstream.storage import EventDoesNotExist, StorageBase
from django_eventstream.utils import parse_last_event_id, sse_encode_error
from django_eventstream.views import Listener, stream

from chat.models import Conversation, User

RING_EVENTS = 256
"""Events that a channel remembers for a tab that comes back; one that was away for longer fetches the snapshot."""
RING_CHANNELS = 5_000
"""Channels that are remembered; the one unused for longest goes first."""


class RingStorage(StorageBase):  # type: ignore[misc]
    """The newest events of each channel, in memory.

    Nothing is lost with them: the database holds every text that was shown, events only say that there is more of it.
    django-eventstream makes one instance per thread, so what they hold is shared by the class.

    A channel counts from the microsecond at which it was first used: ids that an earlier process gave out are unknown
    to this one, and a tab that comes back with one is told to start from the snapshot.
    """

    _lock = threading.Lock()
    _rings: OrderedDict[str, deque[Event]] = OrderedDict()
    _current_ids: dict[str, int] = {}

    def append_event(self, channel: str, event_type: str, data: str) -> Event:
        with self._lock:
            ring = self._touch(channel)
            self._current_ids[channel] += 1
            event = Event(channel, event_type, data, id=self._current_ids[channel])
            ring.append(event)
            return event

    def get_events(self, channel: str, last_id: int, limit: int = 100) -> list[Event]:
        """Return the events after ``last_id``, oldest first.

        Raises:
            EventDoesNotExist: events after it were forgotten, or it was never given out.
        """
        with self._lock:
            ring = self._touch(channel)
            current = self._current_ids[channel]
            if not current - len(ring) <= last_id <= current:
                raise EventDoesNotExist(f"{channel} has no event {last_id}", current)
            missed = current - last_id
            return list(ring)[len(ring) - missed :][:limit] if missed else []

    def get_current_id(self, channel: str) -> int:
        with self._lock:
            self._touch(channel)
            return self._current_ids[channel]

    def _touch(self, channel: str) -> deque[Event]:
        ring = self._rings.get(channel)
        if ring is None:
            ring = self._rings[channel] = deque(maxlen=RING_EVENTS)
            self._current_ids[channel] = time.time_ns() // 1_000
            if len(self._rings) > RING_CHANNELS:
                forgotten, _ = self._rings.popitem(last=False)
                del self._current_ids[forgotten]
        self._rings.move_to_end(channel)
        return ring


class ChannelManager(ChannelManagerBase):  # type: ignore[misc]
    """Admits the owner of a channel, and nobody to a channel that the request names."""

    def get_channels_for_request(self, request: HttpRequest, view_kwargs: dict[str, Any]) -> set[str]:
        return set()

    def can_read_channel(self, user: User | None, channel: str) -> bool:
        if user is None or not User.objects.filter(pk=user.pk, is_active=True).exists():
            return False
        kind, _, key = channel.partition("-")
        if kind == "user":
            return key == str(user.pk)
        return kind == "conversation" and Conversation.objects.owned_by(user).filter(pk=key).exists()

    def is_channel_reliable(self, channel: str) -> bool:
        return True


def conversation_channel(pk: UUID) -> str:
    return f"conversation-{pk}"


def user_channel(pk: int) -> str:
    return f"user-{pk}"


def publish(channel: str, event: str, data: dict[str, Any]) -> None:
    """Tell every open page on the channel. What ``data`` says is stored before this is called."""
    send_event(channel, event, data)


def current_event_id(channels: Iterable[str]) -> str:
    """Return the place in the channels from which a page goes on.

    Take it before reading the text from the database: what happens in between is then heard twice, which the offsets
    sort out, and never missed.
    """
    return str(get_current_event_id(list(channels)))


@dataclass(eq=False, slots=True)
class _OpenStream:
    """An EventSource that is being served, and by what right."""

    session_key: str
    user_pk: int
    session_hash: str
    task: asyncio.Task[Any] | None = None
    loop: asyncio.AbstractEventLoop | None = None
    ended: Literal["", "forbidden", "shutdown"] = field(default="")


_open_streams: set[_OpenStream] = set()


def event_response(request: HttpRequest, user: User, channels: Collection[str]) -> HttpResponseBase:
    """Return the stream of what happens on these channels, which the user may read, from ``Last-Event-ID`` on.

    The stream ends when ``end_revoked_streams`` finds that the session or the user is gone.
    """
    last_event_id = request.headers.get("Last-Event-ID") or request.GET.get("lastEventId", "")
    if last_event_id == "error":
        # The id of our last word to a reader who may not read on; 204 tells an EventSource not to come back.
        return HttpResponse(status=204)
    event_request = EventRequest()
    event_request.channels = set(channels)
    event_request.channel_last_ids = _last_ids(last_event_id, channels)
    event_request.user = user
    event_request.is_next = False
    listener = Listener()
    listener.user_id = user.pk
    listener.channels = event_request.channels
    opened = _OpenStream(request.session.session_key or "", user.pk, user.get_session_auth_hash())
    response = StreamingHttpResponse(
        _until_ended(stream(event_request, listener), opened), content_type="text/event-stream"
    )
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _last_ids(last_event_id: str, channels: Collection[str]) -> dict[str, str]:
    """Return the last id of each channel; none at all where the request named none.

    What cannot be read becomes 0, which no channel ever gave out: the reader is told to fetch the snapshot.
    """
    if not last_event_id:
        return {}
    try:
        given = parse_last_event_id(last_event_id)
    except ValueError:
        given = {}
    return {channel: given[channel] if given.get(channel, "").isdecimal() else "0" for channel in channels}


async def _until_ended(chunks: AsyncGenerator[str], opened: _OpenStream) -> AsyncGenerator[str]:
    opened.task = asyncio.current_task()
    opened.loop = asyncio.get_running_loop()
    _open_streams.add(opened)
    try:
        yield "retry: 1000\n\n"
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk
    except asyncio.CancelledError:
        if not opened.ended:
            raise
        if opened.task is not None:
            opened.task.uncancel()
        if opened.ended == "forbidden":
            yield sse_encode_error("forbidden", "You are signed out.")
    finally:
        _open_streams.discard(opened)


def _end(opened: _OpenStream, reason: Literal["forbidden", "shutdown"]) -> None:
    opened.ended = reason
    if opened.loop is not None and opened.task is not None and not opened.loop.is_closed():
        opened.loop.call_soon_threadsafe(opened.task.cancel)


def end_revoked_streams() -> None:
    """End the streams of those who logged out, were deactivated or changed their password since.

    Two queries however many streams are open; the runner calls it every few seconds.
    """
    watched = [opened for opened in tuple(_open_streams) if not opened.ended]
    if not watched:
        return
    sessions = set(
        Session.objects.filter(
            session_key__in={opened.session_key for opened in watched}, expire_date__gt=timezone.now()
        ).values_list("session_key", flat=True)
    )
    users = User.objects.filter(is_active=True).in_bulk({opened.user_pk for opened in watched})
    for opened in watched:
        user = users.get(opened.user_pk)
        if (
            opened.session_key not in sessions
            or user is None
            or not constant_time_compare(user.get_session_auth_hash(), opened.session_hash)
        ):
            _end(opened, "forbidden")


def end_all_streams() -> None:
    """End every stream, so that the process can stop; each browser comes back by itself."""
    for opened in tuple(_open_streams):
        _end(opened, "shutdown")
