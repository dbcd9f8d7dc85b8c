"""Backends are asked in the background, by one process of the site, whether they are there."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from backends import BaseChatBackend, chat_backends
from backends.exceptions import BackendUnavailable, RequestRejected
from backends.openai import OpenAIBackend
from backends.transformers import TransformersBackend
from chat.models import BackendState
from chat.operation import probing
from chat.operation.backend_health import health
from chat.operation.probing import claim_due, probe
from chat.runner import Runner
from tests.fakes import EchoBackend
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)


class ListedBackend(EchoBackend):
    """Lists what a test says; an exception is raised, a number is how long it hangs."""

    answer: object = ("small", "large")
    asked = 0
    list_models_tells = True

    async def list_models(self):
        type(self).asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        if isinstance(self.answer, float):
            await asyncio.sleep(self.answer)
            return ()
        return self.answer

    async def status(self):
        return {"state": "ready", "memory_bytes": 123, "odd": object(), "nan": float("nan"), "nul": "a\0"}


class StubbornBackend(ListedBackend):
    """Takes no notice of being cancelled."""

    async def list_models(self):
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)
        return ()


@pytest.fixture(autouse=True)
def listed(settings):
    settings.CHAT_PROBE_INTERVAL = 60.0
    settings.CHAT_COOLING_FAILURES = 3
    settings.CHAT_BACKENDS = {"listed": {"BACKEND": "tests.chat.test_probing.ListedBackend"}}
    ListedBackend.answer, ListedBackend.asked = ("small", "large"), 0
    cache.clear()
    yield ListedBackend
    ListedBackend.answer = ("small", "large")
    cache.clear()


def make_probe() -> BackendState:
    """Probe once, as a process whose turn it is."""
    probing.probe_soon()
    assert claim_due("here") == ["listed"]
    asyncio.run(probe("listed"))
    return BackendState.objects.get()


def test_it_works():
    assert not probing.listed().get("listed")
    row = make_probe()
    assert probing.listed()["listed"] == ["small", "large"]
    assert (row.error_code, row.probe_failures, row.prober) == ("", 0, "here")
    assert row.figures == {"state": "ready", "memory_bytes": 123, "nul": "a\ufffd"}
    assert row.latency_ms is not None
    assert health({"listed"})["listed"].level == "works"


def test_one_process_makes_each_probe():
    """However many look at the same moment."""
    taken, barrier = [], threading.Barrier(4)

    def look(name):
        barrier.wait()
        try:
            taken.extend((name, alias) for alias in claim_due(name))
        finally:
            connection.close()

    for expected in (1, 1):
        threads = [threading.Thread(target=look, args=[f"worker-{number}"]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == expected
    BackendState.objects.update(next_probe_at=timezone.now())
    assert claim_due("again") == ["listed"]


def test_two_runners_probe_once():
    runners = [Runner(), Runner()]
    try:
        for runner in runners:
            runner.wake()
        until(lambda: BackendState.objects.filter(probed_at__isnull=False).exists())
        time.sleep(0.1)
    finally:
        for runner in runners:
            runner.stop()
    assert ListedBackend.asked == 1


def test_the_last_good_list_is_kept(listed):
    make_probe()
    listed.answer = BackendUnavailable("Connection refused.", hint="Start it.")
    row = make_probe()
    assert probing.listed()["listed"] == ["small", "large"]
    assert (row.error_code, row.error_detail) == ("backend_unavailable", "Connection refused. Start it.")
    assert row.probe_failures == 1
    assert health({"listed"})["listed"].level == "shaky"


def test_failing_probes_open_the_circuit_and_a_good_one_closes_it(listed):
    make_probe()
    listed.answer = BackendUnavailable("Connection refused.")
    for _ in range(3):
        row = make_probe()
    assert row.cooling_until > timezone.now()
    assert row.next_probe_at == row.cooling_until  # sooner than usual
    assert health({"listed"})["listed"].level == "down"
    BackendState.objects.update(cooling_until=timezone.now())
    row = make_probe()
    assert row.coolings == 2
    listed.answer = ("small",)
    row = make_probe()
    assert (row.cooling_until, row.probe_failures) == (None, 0)


def test_a_server_that_never_had_a_list_is_not_down_for_that(listed):
    listed.answer = BackendUnavailable("HTTP 502")
    for _ in range(4):
        row = make_probe()
    assert (row.probe_failures, row.cooling_until) == (0, None)
    assert health({"listed"})["listed"].level == "unknown"


def test_what_is_no_outage_does_not_count(listed):
    make_probe()
    listed.answer = RequestRejected("HTTP 404")
    for _ in range(4):
        row = make_probe()
    assert (row.probe_failures, row.error_code) == (0, "request_rejected")


def test_a_list_that_asks_nobody_says_nothing(listed, monkeypatch):
    monkeypatch.setattr(listed, "list_models_tells", False)
    make_probe()
    assert health({"listed"})["listed"].level == "unknown"
    listed.answer = BackendUnavailable("Connection refused.")
    for _ in range(4):
        row = make_probe()
    assert row.probe_failures == 0


def test_a_plugin_that_breaks(listed, caplog):
    listed.answer = ZeroDivisionError("secret")
    row = make_probe()
    assert (row.error_code, row.error_detail) == ("internal_error", "ZeroDivisionError")


@pytest.mark.parametrize("backend", ["ListedBackend", "StubbornBackend"])
def test_a_backend_that_hangs(listed, settings, monkeypatch, backend):
    settings.CHAT_BACKENDS = {"listed": {"BACKEND": f"tests.chat.test_probing.{backend}"}}
    listed.answer = 30.0
    monkeypatch.setattr(probing, "PATIENCE", 0.05)

    async def timed() -> float:
        claim_due_here = asyncio.to_thread(claim_due, "here")
        assert await claim_due_here == ["listed"]
        began = time.monotonic()
        await probe("listed")
        return time.monotonic() - began

    assert asyncio.run(timed()) < 0.4
    assert BackendState.objects.get().error_code == "backend_timeout"


def test_no_page_waits_for_a_backend(listed, client, staff, echo, no_runner):
    listed.answer = 30.0
    echo.backend = "listed"
    echo.save()
    client.force_login(staff)
    began = time.monotonic()
    for name in ("chat:home", "chat:assistants_health", "admin:index", "admin:chat_assistant_add"):
        assert client.get(reverse(name)).status_code == 200
    assert not probing.listed().get("listed")
    assert time.monotonic() - began < 10
    assert listed.asked == 0


def test_it_can_be_switched_off(settings):
    settings.CHAT_PROBE_INTERVAL = 0
    assert claim_due("here") == []


def test_one_look_is_one_query(django_assert_num_queries):
    claim_due("here")
    with django_assert_num_queries(1):
        assert claim_due("here") == []


def test_what_the_settings_do_not_name_is_not_probed(settings):
    claim_due("here")
    settings.CHAT_BACKENDS = {}
    BackendState.objects.update(next_probe_at=timezone.now() - timedelta(hours=1))
    assert claim_due("here") == []


def test_which_backends_tell():
    assert not BaseChatBackend.list_models_tells
    assert OpenAIBackend.list_models_tells
    assert not TransformersBackend.list_models_tells  # it names the model of its settings and asks nobody
    assert asyncio.run(chat_backends["listed"].status())["state"] == "ready"
