"""What a process says of itself, and what is said of several of them."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import AsyncClient, Client

from chat import health
from chat.checks import check_processes
from chat.events import relay

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def database(monkeypatch) -> health.DatabaseProbe:
    probe = health.DatabaseProbe()
    monkeypatch.setattr(health, "_database", probe)
    return probe


def test_it_works(client, django_assert_num_queries):
    with django_assert_num_queries(0):  # the question is asked in another thread
        response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"database": "ok", "redis": "off"})
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert not response.cookies


def test_it_only_reads(client):
    assert client.head("/healthz").status_code == 200
    assert client.post("/healthz").status_code == 405


def test_a_database_that_refuses(client, monkeypatch, caplog):
    class Away:
        def cursor(self):
            raise OperationalError("no connection to db.internal as chatsite")

        def close(self):
            pass

    monkeypatch.setattr(health, "connection", Away())
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (503, {"database": "unreachable", "redis": "off"})
    assert "db.internal" in caplog.text


async def test_a_database_that_hangs_is_asked_once(database, monkeypatch):
    asked, answer = [], threading.Event()

    def ask() -> bool:
        asked.append(None)
        return answer.wait(5)

    monkeypatch.setattr(health, "_ask", ask)
    monkeypatch.setattr(health, "PATIENCE", 0.05)
    began = time.monotonic()
    for _ in range(3):
        response = await AsyncClient().get("/healthz")
        assert response.status_code == 503
    assert time.monotonic() - began < 1
    assert len(asked) == 1
    answer.set()
    monkeypatch.setattr(health, "PATIENCE", 1)
    assert await database.is_reachable()
    assert await database.is_reachable()
    assert len(asked) > 1


def test_redis_is_away(client, settings, monkeypatch):
    settings.REDIS_URL = "redis://:secret@127.0.0.1:1/0"
    monkeypatch.setattr(sys.modules["chat.events.relay"], "PAUSES", (0.01, 0.02))
    try:
        response = client.get("/healthz")
    finally:
        relay.stop()
    assert (response.status_code, response.json()) == (200, {"database": "ok", "redis": "unreachable"})


def test_who_checks_comes_past_the_proxy(settings):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = ["^healthz$"]
    client = Client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/accounts/login/").status_code == 301


class TestReady:
    @pytest.fixture(autouse=True)
    def _as_at_the_start(self, monkeypatch):
        monkeypatch.setattr(health, "_has_been_migrated", threading.Event())
        monkeypatch.setattr(health, "_is_leaving", threading.Event())

    def test_it_works(self, client):
        response = client.get("/readyz")
        assert (response.status_code, response.json()) == (200, {"ready": True, "missing": []})
        assert response["Cache-Control"] == "no-store"
        assert client.post("/readyz").status_code == 405

    def test_not_while_the_process_stops(self, client):
        health.leave()
        response = client.get("/readyz")
        assert (response.status_code, response.json()["missing"]) == (503, ["stopping"])
        assert client.get("/healthz").status_code == 200  # it lives: nobody is to start it anew

    def test_not_without_the_database(self, client, monkeypatch):
        monkeypatch.setattr(health, "_ask", lambda: False)
        response = client.get("/readyz")
        assert (response.status_code, response.json()["missing"]) == (503, ["database"])

    def test_not_before_the_migrations(self, client, monkeypatch):
        ((app, newest),) = MigrationLoader(connection).graph.leaf_nodes("chat")
        MigrationRecorder(connection).record_unapplied(app, newest)
        try:
            assert health.missing_migrations() == [f"{app}.{newest}"]
            response = client.get("/readyz")
            assert (response.status_code, response.json()["missing"]) == (503, ["migrations"])
        finally:
            MigrationRecorder(connection).record_applied(app, newest)
        assert client.get("/readyz").status_code == 200
        monkeypatch.setattr(health, "missing_migrations", lambda: ["looked again"])
        assert client.get("/readyz").status_code == 200

    def test_who_checks_comes_past_the_proxy(self, settings):
        settings.SECURE_SSL_REDIRECT = True
        settings.SECURE_REDIRECT_EXEMPT = ["^(healthz|readyz)$"]
        assert Client().get("/readyz").status_code == 200


class TestChecks:
    def test_one_process_needs_no_redis(self):
        assert check_processes(None) == []

    def test_several_need_one(self, settings):
        settings.WEB_CONCURRENCY = 4
        (found,) = check_processes(None)
        assert found.id == "chat.W002"
        assert "REDIS_URL" in found.hint
        settings.REDIS_URL = "redis://127.0.0.1:6379/0"
        assert check_processes(None) == []

    @pytest.mark.parametrize(
        "url",
        ["redis://h", "redis://u:p@h:6379/1", "rediss://h:6380", "redis://[::1]:6379/0", "unix:///run/redis.sock"],
    )
    def test_addresses(self, settings, url):
        settings.REDIS_URL = url
        assert check_processes(None) == []

    @pytest.mark.parametrize(
        "url",
        ["h:6379", "http://h:secret@h", "redis://", "redis://h:port/0", "redis://h:99999/0", "unix://", "redis:h"],
    )
    def test_no_addresses(self, settings, url):
        settings.REDIS_URL = url
        (found,) = check_processes(None)
        assert found.id == "chat.E001"
        assert "secret" not in f"{found.msg} {found.hint}"
