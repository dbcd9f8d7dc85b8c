"""Open event streams: what goes over the wire, and when they end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django_eventstream.event import Event
from django_eventstream.storage import EventDoesNotExist
from django_eventstream.utils import make_id, parse_last_event_id, sse_encode_error, sse_encode_event
from django_eventstream.views import Listener, get_listener_manager

from chat.events.delivery import ring
from chat.events.relay import relay
from chat.models import User

KEEP_ALIVE = 20.0
"""Seconds of silence after which a stream says that it is still there."""
_NUMBER = re.compile(r"[0-9]{1,20}")
"""Of a bounded length: Python refuses to read thousands of digits."""
STILL_THERE = b"event: keep-alive\ndata:\n\n"
OPENING = f"retry: 1000\n\n:{' ' * 2048}\n\nevent: stream-open\ndata:\n\n".encode()
"""One for all streams: what a stream sent last stays in memory until it sends more.

The padding makes proxies and browsers that collect a first block hand it over.
"""


@dataclass(eq=False, slots=True)
class _OpenStream:
    """An EventSource that is being served, and by what right."""

    session_key: str
    user_pk: int
    right: tuple[str, int]
    """The stored password and how often all sessions were ended: where either differs, this session is over."""
    permissions: tuple[str, ...] = ()
    """Without one of these the stream ends; who has any must be staff, too."""
    task: asyncio.Task[Any] | None = None
    loop: asyncio.AbstractEventLoop | None = None
    ended: Literal["", "forbidden", "shutdown"] = field(default="")


_open_streams: set[_OpenStream] = set()


def open_stream_count() -> int:
    """Return how many streams this process serves."""
    return len(_open_streams)


async def event_response(
    request: HttpRequest, user: User, channels: Collection[str], permissions: Collection[str] = ()
) -> HttpResponseBase:
    """Return the stream of what happens on these channels, which the user may read, from ``Last-Event-ID`` on.

    The stream holds no thread and no database connection. It ends when ``end_revoked_streams`` finds that the session,
    the user or one of these permissions is gone.
    """
    last_event_id = request.headers.get("Last-Event-ID") or request.GET.get("lastEventId", "")
    if last_event_id == "error":
        # The id of our last word to a reader who may not read on; 204 tells an EventSource not to come back.
        return HttpResponse(status=204)
    if request.resolver_match:
        # All addresses that were compared, for Django's debug page; the request lives as long as the stream.
        request.resolver_match.tried = None
    await relay.awatch(channels)
    right = (user.password, user.sessions_ended)
    opened = _OpenStream(request.session.session_key or "", user.pk, right, tuple(permissions))
    frames = _frames(PageListener(user, channels), _last_ids(last_event_id, channels))
    response = StreamingHttpResponse(_until_ended(frames, opened), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    response._csp_exempt = True  # type: ignore[attr-defined]  # half a kilobyte for each open page that no browser reads
    return response


def _last_ids(last_event_id: str, channels: Collection[str]) -> dict[str, int]:
    """Return the last id that the reader has of each channel; the present one where the request named none.

    What cannot be read becomes 0, which no channel ever gave out: the reader is told to fetch the snapshot.
    """
    if not last_event_id:
        return {channel: ring.get_current_id(channel) for channel in channels}
    try:
        given = parse_last_event_id(last_event_id)
    except ValueError:
        given = {}
    return {channel: int(given[channel]) if _NUMBER.fullmatch(given.get(channel, "")) else 0 for channel in channels}


class PageListener(Listener):  # type: ignore[misc]
    """A page that listens. What its queue holds only says which channels have news: the ring has the events."""

    def __init__(self, user: User, channels: Collection[str]) -> None:
        super().__init__()
        del self.aevent  # most of what a listener weighs, for stream() alone
        self.user_id = user.pk
        self.channels = set(channels)
        self.channel_items: dict[str, list[Event]] = {}
        self.assign_loop()
        self._is_waking = False
        self._waiter: asyncio.Future[None] | None = None

    def wake_threadsafe(self) -> None:
        """Wake the page once, however many events come before it runs. The listener manager's lock is held."""
        if not self._is_waking:
            self._is_waking = True
            _bell.ring_for(self)

    async def news(self, timeout: float) -> set[str]:
        """Return the channels that have news; none if there are none for so many seconds."""
        deadline = self.loop.time() + timeout
        while not self.channel_items and self.loop.time() < deadline:
            self._waiter = self.loop.create_future()
            timer = self.loop.call_at(deadline, self.wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
        with get_listener_manager().lock:
            self._is_waking = False
            channels, self.channel_items = set(self.channel_items), {}
        return channels

    def wake(self) -> None:
        """Let the page go on, on its loop."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Bell:
    """Wakes the pages of each event loop: one call from the thread that has news, however many pages it is for."""

    def __init__(self) -> None:
        self._sleeping: dict[asyncio.AbstractEventLoop, list[PageListener]] = {}

    def ring_for(self, page: PageListener) -> None:
        """Wake the page soon. The listener manager's lock is held."""
        pages = self._sleeping.setdefault(page.loop, [])
        pages.append(page)
        if len(pages) == 1:
            page.loop.call_soon_threadsafe(self._ring, page.loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        with get_listener_manager().lock:
            pages = self._sleeping.pop(loop)
        for page in pages:
            page.wake()


_bell = _Bell()


async def _frames(listener: PageListener, last_ids: dict[str, int]) -> AsyncGenerator[bytes]:
    """Yield what happens after these ids as frames of the event stream."""
    manager = get_listener_manager()
    manager.add_listener(listener)
    try:
        yield OPENING
        channels = listener.channels
        while True:
            if frames := _read(last_ids, channels):
                yield frames
            while not (channels := await listener.news(KEEP_ALIVE)):
                yield STILL_THERE
    finally:
        manager.remove_listener(listener)


def _read(last_ids: dict[str, int], channels: Collection[str]) -> bytes:
    """Return the events of these channels after the last ids, as frames, and move the ids on.

    The last frame alone has an id: a reader whose connection breaks before it reads the frames again, and knows them.
    """
    frames, lost = [], []
    for channel in channels:
        try:
            news, last_ids[channel] = ring.get_frames(channel, last_ids[channel])
        except EventDoesNotExist as missing:
            lost.append(channel)
            last_ids[channel] = missing.current_id
        else:
            frames += news
    if lost:
        reset: str = sse_encode_event("stream-reset", {"channels": lost}, json_encode=True)
        frames.insert(0, reset[:-1])
    # Without news there is nothing to say: what woke us was read before.
    return ("\n".join(frames) + f"id: {make_id(last_ids)}\n\n").encode() if frames else b""


async def _until_ended(chunks: AsyncGenerator[bytes], opened: _OpenStream) -> AsyncGenerator[bytes]:
    opened.task = asyncio.current_task()
    opened.loop = asyncio.get_running_loop()
    _open_streams.add(opened)
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk
    except asyncio.CancelledError:
        if not opened.ended:
            raise
        if opened.task is not None:
            opened.task.uncancel()
        if opened.ended == "forbidden":
            yield sse_encode_error("forbidden", "You are signed out.").encode()
    finally:
        _open_streams.discard(opened)


def _end(opened: _OpenStream, reason: Literal["forbidden", "shutdown"]) -> None:
    opened.ended = reason
    if opened.loop is not None and opened.task is not None and not opened.loop.is_closed():
        opened.loop.call_soon_threadsafe(opened.task.cancel)


def end_revoked_streams() -> None:
    """End the streams of those who logged out or were signed out, were deactivated or changed their password since.

    Two queries however many streams are open, and a few for each administrator who watches; the runner calls it every
    few seconds.
    """
    watched = [opened for opened in tuple(_open_streams) if not opened.ended]
    if not watched:
        return
    sessions = set(
        Session.objects.filter(
            session_key__in={opened.session_key for opened in watched}, expire_date__gt=timezone.now()
        ).values_list("session_key", flat=True)
    )
    active = User.objects.filter(is_active=True, pk__in={opened.user_pk for opened in watched})
    rights = {pk: (password, ended) for pk, password, ended in active.values_list("pk", "password", "sessions_ended")}
    for opened in watched:
        is_signed_in = opened.session_key in sessions and rights.get(opened.user_pk) == opened.right
        if not is_signed_in or not _is_permitted(opened):
            _end(opened, "forbidden")


def _is_permitted(opened: _OpenStream) -> bool:
    if not opened.permissions:
        return True
    user = User.objects.filter(pk=opened.user_pk, is_staff=True).first()
    return user is not None and user.has_perms(opened.permissions)


def end_all_streams() -> None:
    """End every stream, so that the process can stop; each browser comes back by itself."""
    for opened in tuple(_open_streams):
        _end(opened, "shutdown")
