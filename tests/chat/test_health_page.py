"""The health page: what fares how, and what to do."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat.diagnosis import vitals
from chat.models import BackendState, User, Worker
from chat.operation import draining, presence
from chat.runner import Runner
from tests.patience import until

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _quiet(settings):
    settings.CHAT_PROBE_INTERVAL = 60.0
    cache.clear()
    presence.show("host:1:abc", 2)
    yield
    cache.clear()


@pytest.fixture
def health_page(client, staff):
    client.force_login(staff)

    def get() -> str:
        response = client.get(reverse("admin:health"))
        assert response.status_code == 200
        return response.content.decode()

    get.client = client
    return get


def fact(name: str) -> vitals.Fact:
    return next(fact for fact in vitals.examine().facts if fact.name == name)


def test_it_works(health_page):
    page = health_page()
    assert "All is well" in page
    assert "Echo" in page
    assert "host:1:abc" in page
    assert connection.display_name in page
    assert "Python" in page
    assert "all applied" in page


def test_a_backend_that_is_down(health_page):
    now = timezone.now()
    BackendState.objects.create(
        alias="echo",
        probed_at=now,
        latency_ms=12,
        error_code="authentication_failed",
        error_detail="HTTP 401 <b>no</b>",
        listed=["small", "large"],
        listed_at=now - timedelta(hours=1),
        failures=1,
        probe_failures=3,
        failing_since=now - timedelta(minutes=9),
        failed_at=now,
        coolings=2,
        cooling_until=now + timedelta(seconds=30),
    )
    page = health_page()
    assert "All is well" not in page
    assert "Its server refuses the key." in page
    assert "Down since" in page
    assert "Cooling off, next try" in page
    assert "small" in page
    assert "As of" in page
    assert "&lt;b&gt;no" in page


def test_a_wrong_key_is_told_before_anybody_asks(health_page):
    BackendState.objects.create(alias="echo", probed_at=timezone.now(), error_code="authentication_failed")
    (complaint,) = vitals.examine().complaints
    assert (complaint.name, complaint.light) == ("Echo", "fair")
    assert "Needs a look" in health_page()


def test_a_local_model_tells_its_figures(health_page):
    figures = {
        "state": "ready",
        "device": "cuda",
        "dtype": "bfloat16",
        "memory_bytes": 3 * 2**20,
        "active": 2,
        "slots": 16,
    }
    BackendState.objects.create(alias="echo", probed_at=timezone.now(), figures=figures)
    page = health_page()
    assert "cuda bfloat16" in page
    assert "3.0" in page
    assert "2 / 16" in page


def test_a_drained_backend(health_page):
    draining.drain("echo")
    assert "takes no new answers" in health_page()


def test_what_is_missing_is_told(monkeypatch):
    monkeypatch.setattr(vitals, "missing_migrations", lambda: ["chat.0099_future"])
    found = fact("Migrations")
    assert (found.light, found.value) == ("bad", "missing: chat.0099_future")
    assert "manage.py migrate" in found.remedy


@pytest.mark.parametrize(("free", "light"), [(2**40, "good"), (2**29, "fair"), (2**20, "bad")])
def test_disk(monkeypatch, free, light):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**41, 2**41 - free, free))
    found = fact("Disk, free")
    assert (found.light, bool(found.remedy)) == (light, light != "good")


class TestProcesses:
    def test_one(self):
        assert (fact("Processes").value, fact("Processes").light) == ("1", "good")
        assert fact("Redis").light == "off"

    def test_several_need_redis(self, settings):
        presence.show("host:2:def", 0)
        assert fact("Redis").light == "bad"
        assert "REDIS_URL" in fact("Redis").remedy

    def test_one_that_died(self, health_page):
        Worker.objects.update(seen_at=timezone.now() - timedelta(minutes=1))
        presence.show("host:2:def", 0)
        assert fact("Processes").light == "fair"
        assert "silent" in health_page()

    def test_one_that_died_long_ago_is_forgotten(self):
        Worker.objects.update(seen_at=timezone.now() - timedelta(hours=2))
        presence.show("host:2:def", 0)
        assert [worker.name for worker in Worker.objects.all()] == ["host:2:def"]

    def test_none(self):
        Worker.objects.all().delete()
        assert fact("Processes").light == "bad"

    def test_a_runner_comes_and_goes(self, settings):
        settings.CHAT_PROBE_INTERVAL = 0
        runner = Runner()
        runner.wake()
        try:
            until(lambda: Worker.objects.filter(name=runner.name).exists())
        finally:
            runner.stop()
        assert not Worker.objects.filter(name=runner.name).exists()


class TestProbe:
    def test_it_works(self, health_page):
        later = timezone.now() + timedelta(hours=1)
        BackendState.objects.create(alias="echo", next_probe_at=later)
        response = health_page.client.post(reverse("admin:health_probe"))
        assert response.url == reverse("admin:health")
        assert all(state.next_probe_at <= timezone.now() for state in BackendState.objects.all())
        assert "The probes begin now." in health_page()

    def test_one(self, health_page):
        later = timezone.now() + timedelta(hours=1)
        for alias in ("echo", "scripted"):
            BackendState.objects.create(alias=alias, next_probe_at=later)
        health_page.client.post(reverse("admin:health_probe"), {"alias": "echo"})
        assert BackendState.objects.get(alias="scripted").next_probe_at == later

    def test_nonsense(self, health_page):
        assert health_page.client.post(reverse("admin:health_probe"), {"alias": "nothing"}).status_code == 404
        assert health_page.client.get(reverse("admin:health_probe")).status_code == 405

    def test_switched_off(self, health_page, settings):
        settings.CHAT_PROBE_INTERVAL = 0
        health_page.client.post(reverse("admin:health_probe"))
        page = health_page()
        assert "Probes are switched off" in page
        assert 'action="' + reverse("admin:health_probe") not in page


@pytest.mark.parametrize("name", ["health", "health_probe"])
def test_it_needs_a_permission(client, name):
    helper = User.objects.create_user("helper", password="x", is_staff=True)
    client.force_login(helper)
    assert client.post(reverse(f"admin:{name}")).status_code == 403
    helper.user_permissions.add(Permission.objects.get(codename="view_health"))
    assert client.post(reverse(f"admin:{name}")).status_code in {302, 405}


def test_queries_do_not_grow(health_page, settings):
    def count() -> int:
        cache.clear()
        with CaptureQueriesContext(connection) as queries:
            health_page()
        return len(queries)

    count()
    few = count()
    for number in range(10):
        BackendState.objects.create(alias=f"b{number}", failures=1)
        presence.show(f"host:{number}:x", 0)
    settings.CHAT_BACKENDS = {f"b{n}": {"BACKEND": "tests.fakes.EchoBackend"} for n in range(10)}
    assert count() == few
