"""Channels, the ring and open streams."""

from __future__ import annotations

import asyncio
import gc
import json
import re

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.test import AsyncClient
from django.urls import reverse
from django_eventstream.storage import EventDoesNotExist

from chat import events
from chat.events import ChannelManager, RingStorage, streams

pytestmark = pytest.mark.django_db(transaction=True)


class TestRing:
    def test_it_works(self):
        ring = RingStorage()
        start = ring.get_current_id("user-works")
        ids = [ring.append_event("user-works", "x", str(number)).id for number in range(3)]
        assert ids == [start + 1, start + 2, start + 3]
        assert [event.data for event in ring.get_events("user-works", start)] == ["0", "1", "2"]
        assert [event.data for event in ring.get_events("user-works", start + 1, limit=1)] == ["1"]
        assert ring.get_events("user-works", start + 3) == []

    def test_every_thread_sees_the_same(self):
        start = RingStorage().get_current_id("user-same")
        RingStorage().append_event("user-same", "x", "0")
        assert len(RingStorage().get_events("user-same", start)) == 1

    def test_the_garbage_collector_passes_over_what_it_holds(self):
        ring = RingStorage()
        start = ring.get_current_id("user-light")
        ring.append_event("user-light", "x", '{"text": "hi"}')
        frames, newest = ring.get_frames("user-light", start)
        assert (frames, newest) == (['event: x\ndata: {"text": "hi"}\n'], start + 1)
        assert not any(map(gc.is_tracked, frames))

    def test_what_was_forgotten_asks_for_the_snapshot(self):
        ring = RingStorage()
        start = ring.get_current_id("user-full")
        for number in range(events.RING_EVENTS + 1):
            ring.append_event("user-full", "x", str(number))
        with pytest.raises(EventDoesNotExist):
            ring.get_events("user-full", start)
        assert len(ring.get_events("user-full", start + 1, limit=1_000)) == events.RING_EVENTS

    @pytest.mark.parametrize("unknown", [0, 2**62])
    def test_an_id_of_another_process_asks_for_the_snapshot(self, unknown):
        with pytest.raises(EventDoesNotExist):
            RingStorage().get_events("user-other", unknown)

    def test_it_remembers_a_bounded_number_of_channels(self, monkeypatch):
        monkeypatch.setattr("chat.events.ring.RING_CHANNELS", 3)
        monkeypatch.setattr(RingStorage, "_rings", type(RingStorage._rings)())
        ring = RingStorage()
        for number in range(5):
            ring.append_event(f"user-{number}", "x", "")
        assert list(ring._rings) == ["user-2", "user-3", "user-4"]


def test_the_packages_own_views_give_out_nothing(rf, alice):
    manager = ChannelManager()
    assert manager.get_channels_for_request(rf.get("/?channel=user-1"), {}) == set()
    assert not manager.can_read_channel(alice, events.user_channel(alice.pk))


class Reader:
    """An EventSource: opens a stream with the session of a user and reads events from it."""

    def __init__(self, user, url, last_event_id="") -> None:
        self.client, self.user, self.url = AsyncClient(), user, url
        self.headers = {"last-event-id": last_event_id} if last_event_id else {}
        self._buffer = ""

    async def __aenter__(self):
        await self.client.aforce_login(self.user)
        self.response = await self.client.get(self.url, headers=self.headers)
        self._chunks = aiter(self.response)
        return self

    async def __aexit__(self, *exc):
        await self._chunks.aclose()

    async def event(self) -> tuple[str, str, str]:
        """Return the next event as (name, data, id)."""
        async with asyncio.timeout(5):
            while "\n\n" not in self._buffer:
                self._buffer += (await anext(self._chunks)).decode()
        block, self._buffer = self._buffer.split("\n\n", 1)
        fields = dict(re.findall(r"^(\w+): ?(.*)$", block, re.MULTILINE))
        if "event" not in fields or fields["event"] in {"stream-open", "keep-alive"}:
            return await self.event()
        return fields["event"], fields.get("data", ""), fields.get("id", "")

    async def ended(self) -> bool:
        async with asyncio.timeout(5):
            async for _ in self._chunks:
                pass
        return True


def path(conversation) -> str:
    return reverse("chat:events", args=[conversation.pk])


async def test_a_stream_tells_what_happens(alice, conversation):
    async with Reader(alice, path(conversation)) as reader:
        response = reader.response
        assert response["Content-Type"] == "text/event-stream"
        assert (response["Cache-Control"], response["X-Accel-Buffering"]) == ("no-store", "no")
        channel = events.conversation_channel(conversation.pk)
        pending = asyncio.create_task(reader.event())
        await asyncio.sleep(0.05)
        text = "\n\ndata: forged\r\u2028event: x"
        await sync_to_async(events.publish)(channel, "message.delta", {"message": 1, "offset": 0, "text": text})
        name, data, _ = await pending
        assert name == "message.delta"
        assert json.loads(data)["text"] == text


async def test_pages_that_hear_of_the_same_news_are_woken_together(alice, monkeypatch):
    pages = [streams.PageListener(alice, [f"user-{number}"]) for number in range(20)]
    manager = streams.get_listener_manager()
    for page in pages:
        manager.add_listener(page)
    news = [asyncio.create_task(page.news(5)) for page in pages]
    await asyncio.sleep(0)
    called = []
    loop = asyncio.get_running_loop()
    call = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *args, **kw: called.append(args) or call(*args, **kw))
    try:
        events.publish_all(events.Message(f"user-{number}", "x", {}) for number in range(20))
        assert len(called) == 1
        async with asyncio.timeout(5):
            assert await asyncio.gather(*news) == [{f"user-{number}"} for number in range(20)]
    finally:
        for page in pages:
            manager.remove_listener(page)


async def test_a_silent_stream_says_that_it_is_there(alice, conversation, monkeypatch):
    monkeypatch.setattr(streams, "KEEP_ALIVE", 0.05)
    async with Reader(alice, path(conversation)) as reader:
        async with asyncio.timeout(5):
            said = [await anext(reader._chunks) for _ in range(4)]
        assert said == [streams.OPENING, streams.STILL_THERE, streams.STILL_THERE, streams.STILL_THERE]
        await sync_to_async(events.publish)(events.conversation_channel(conversation.pk), "message.delta", {})
        assert (await reader.event())[0] == "message.delta"


async def test_a_stream_goes_on_where_the_page_was(alice, conversation):
    channels = [events.conversation_channel(conversation.pk), events.user_channel(alice.pk)]
    event_id = events.current_event_id(channels)
    for number in range(15):  # more than django-eventstream keeps for a listener
        await sync_to_async(events.publish)(channels[0], "message.delta", {"n": number})
    async with Reader(alice, path(conversation), event_id) as reader:
        numbers = [json.loads((await reader.event())[1])["n"] for _ in range(15)]
    assert numbers == list(range(15))


@pytest.mark.parametrize(
    "unknown", ["nonsense", "conversation-x:" + "1" * 5000, "conversation-x:1", "a:b:c", "%%%:1,", "conversation-x:²"]
)
async def test_an_unknown_place_asks_for_the_snapshot(alice, conversation, unknown):
    async with Reader(alice, path(conversation), unknown.encode().decode("latin-1")) as reader:
        assert (await reader.event())[0] == "stream-reset"


async def test_a_reader_who_was_sent_away_stays_away(alice, conversation):
    client = AsyncClient()
    await client.aforce_login(alice)
    response = await client.get(path(conversation), headers={"last-event-id": "error"})
    assert response.status_code == 204


async def leave_by_log_out(reader):
    await sync_to_async(Session.objects.all().delete)()


async def leave_by_deactivation(reader):
    await sync_to_async(get_user_model().objects.update)(is_active=False)


async def leave_by_new_password(reader):
    await sync_to_async(reader.user.set_password)("another-long-password")
    await reader.user.asave()


@pytest.mark.parametrize("leave", [leave_by_log_out, leave_by_deactivation, leave_by_new_password])
async def test_a_stream_ends_when_its_reader_may_no_longer_read(alice, conversation, leave):
    async with Reader(alice, path(conversation)) as reader:
        pending = asyncio.create_task(reader.event())
        await asyncio.sleep(0.05)
        await sync_to_async(events.end_revoked_streams)()
        assert not pending.done()
        await leave(reader)
        await sync_to_async(events.end_revoked_streams)()
        name, data, event_id = await pending
        assert (name, json.loads(data)["condition"], event_id) == ("stream-error", "forbidden", "error")
        assert await reader.ended()
    assert not streams._open_streams


async def test_every_stream_ends_when_the_process_stops(alice, conversation):
    async with Reader(alice, path(conversation)) as reader:
        pending = asyncio.create_task(reader.ended())
        await asyncio.sleep(0.05)
        events.end_all_streams()
        assert await pending
    assert not streams._open_streams


async def test_a_closed_tab_is_forgotten(alice, conversation):
    async with Reader(alice, path(conversation)) as reader:
        pending = asyncio.create_task(reader.event())
        await asyncio.sleep(0.05)
        assert len(streams._open_streams) == 1
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)
    assert not streams._open_streams
