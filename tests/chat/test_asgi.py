"""The site as an ASGI application: what an open stream costs, and how the process begins and ends."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.test import AsyncClient
from django.urls import reverse

from chat import events
from chatsite import asgi

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]


@pytest.fixture(autouse=True)
def _nothing_left():
    usual = gc.get_threshold()
    yield
    asgi.application.threads.close()
    gc.unfreeze()
    gc.set_threshold(*usual)


@asynccontextmanager
async def open_stream(session: str, path: str):
    """Open an event stream as a server would, and wait for its first bytes."""
    cookie = f"{settings.SESSION_COOKIE_NAME}={session}".encode()
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"cookie", cookie)],
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
    }
    communicator = ApplicationCommunicator(asgi.application, scope)
    await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await communicator.receive_output(5)
    assert start["status"] == 200
    opening = (await communicator.receive_output(5))["body"]
    assert b"retry" in opening
    assert b"stream-open" in opening
    try:
        yield communicator
    finally:
        await communicator.send_input({"type": "http.disconnect"})
        await communicator.wait(5)


async def session_of(user) -> str:
    client = AsyncClient()
    await client.aforce_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


async def test_an_open_stream_holds_no_thread(alice, conversation):
    session = await session_of(alice)
    path = reverse("chat:events", args=[conversation.pk])
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_stream(session, path))
        before = threading.active_count()
        for _ in range(20):
            await stack.enter_async_context(open_stream(session, path))
        assert events.open_stream_count() == 21
        assert threading.active_count() <= before + 2
    assert events.open_stream_count() == 0


async def test_a_stream_hears_events_through_the_application(alice, conversation):
    path = reverse("chat:events", args=[conversation.pk])
    async with open_stream(await session_of(alice), path) as communicator:
        channel = events.conversation_channel(conversation.pk)
        await sync_to_async(events.publish)(channel, "message.delta", {"message": 1, "offset": 0, "text": "hi"})
        assert b"event: message.delta" in (await communicator.receive_output(5))["body"]


async def test_the_runner_begins_and_ends_with_the_server(monkeypatch):
    said = []
    monkeypatch.setattr(asgi.runner, "wake", lambda: said.append("wake"))
    monkeypatch.setattr(asgi.runner, "stop", lambda: said.append("stop"))
    monkeypatch.setattr(asgi, "_end_streams_at_signals", lambda: said.append("signals"))
    communicator = ApplicationCommunicator(asgi.application, {"type": "lifespan"})
    await communicator.send_input({"type": "lifespan.startup"})
    assert (await communicator.receive_output(5))["type"] == "lifespan.startup.complete"
    assert said == ["signals", "wake"]
    await communicator.send_input({"type": "lifespan.shutdown"})
    assert (await communicator.receive_output(5))["type"] == "lifespan.shutdown.complete"
    assert said[-1] == "stop"


async def test_streams_end_when_the_process_is_asked_to_stop(alice, conversation):
    path = reverse("chat:events", args=[conversation.pk])
    heard = []
    handler = asgi._ending_streams_first(lambda number, frame: heard.append(number))
    async with open_stream(await session_of(alice), path) as communicator:
        handler(15, None)
        assert heard == [15]
        while (await communicator.receive_output(5)).get("more_body"):
            pass
        await asyncio.wait_for(communicator.future, 5)


def test_the_garbage_collector_passes_over_what_is_there_for_good():
    asgi._keep_for_good()
    assert gc.get_freeze_count() > 100_000
    assert len(gc.get_objects()) < 10_000


async def test_the_garbage_collector_passes_over_what_is_loaded_soon_after(monkeypatch):
    monkeypatch.setattr(asgi.runner, "wake", lambda: None)
    monkeypatch.setattr(asgi.runner, "stop", lambda: None)
    monkeypatch.setattr(asgi, "_end_streams_at_signals", lambda: None)
    monkeypatch.setattr(asgi, "SETTLED", 0.05)
    communicator = ApplicationCommunicator(asgi.application, {"type": "lifespan"})
    await communicator.send_input({"type": "lifespan.startup"})
    await communicator.receive_output(5)
    late: list[object] = [{}]
    assert any(one is late for one in gc.get_objects())
    async with asyncio.timeout(5):
        while any(one is late for one in gc.get_objects()):
            await asyncio.sleep(0.01)
    await communicator.send_input({"type": "lifespan.shutdown"})
    await communicator.receive_output(5)
