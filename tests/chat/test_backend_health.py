"""How a backend fares is told from its newest answers, without asking it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from chat.models import Assistant, BackendState, Generation, Status
from chat.operation import backend_health
from chat.operation.backend_health import Health, Observation, health, judge, observe
from chat.wording import health_words

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]


@pytest.fixture(autouse=True)
def _nothing_known():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def ended(ask, echo):
    """Make answers that ended so many seconds ago."""

    def make(status=Status.COMPLETED, *, ago=60, backend="echo", **values) -> Generation:
        generation = ask(echo, "Hello")
        at = timezone.now() - timedelta(seconds=ago)
        values = {"finish_reason": "stop" if status == Status.COMPLETED else "", **values}
        Generation.objects.filter(pk=generation.pk).update(status=status, backend=backend, finished_at=at, **values)
        return Generation.objects.get(pk=generation.pk)

    return make


def failed(ended, code="backend_unavailable", **values):
    return ended(Status.FAILED, error_code=code, **values)


def level() -> str:
    cache.clear()
    return health({"echo"})["echo"].level


def test_it_works(ended):
    assert level() == "unknown"
    ended()
    assert level() == "works"


def test_one_failure_is_a_warning_and_two_are_an_outage(ended):
    ended(ago=300)
    first = failed(ended, ago=120)
    assert level() == "shaky"
    failed(ended, ago=60)
    assert health({"echo"})["echo"].level == "shaky"  # for some seconds nobody looks again
    assert level() == "down"
    assert health({"echo"})["echo"].since == first.finished_at


def test_an_answer_ends_an_outage(ended):
    for ago in (90, 60, 30):
        failed(ended, ago=ago)
    assert level() == "down"
    ended(ago=1)
    assert level() == "shaky"
    for _ in range(12):
        ended(ago=1)
    assert level() == "works"


def test_an_outage_begins_after_the_last_answer_however_long_ago(ended):
    failed(ended, ago=9000)  # of another outage
    ended(ago=8000)
    first = failed(ended, ago=7000)
    failed(ended, ago=10)
    assert level() == "down"
    assert health({"echo"})["echo"].since == first.finished_at


def test_what_is_long_past_says_nothing(ended):
    failed(ended, ago=5000)
    failed(ended, ago=4000)
    assert level() == "unknown"


@pytest.mark.parametrize("code", ["rate_limited", "backend_full"])
def test_a_backend_that_is_busy_is_not_down(ended, code):
    for _ in range(3):
        failed(ended, code)
    assert level() == "shaky"


@pytest.mark.parametrize("code", ["context_length_exceeded", "request_rejected", "model_not_found"])
def test_what_the_question_or_the_assistant_is_to_blame_for_does_not_count(ended, code):
    ended()
    for _ in range(3):
        failed(ended, code)
    assert level() == "works"


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (Status.INCOMPLETE, "length", "works"),
        (Status.INCOMPLETE, "content_filter", "works"),
        (Status.INCOMPLETE, "interrupted", "unknown"),  # our own process died
        (Status.CANCELLED, "", "unknown"),
    ],
)
def test_other_endings(ended, status, reason, expected):
    ended(status, finish_reason=reason)
    assert level() == expected


def test_a_backend_that_says_nothing_for_long_is_slow(ask, echo):
    running = ask(echo, "Hello")
    long_ago = timezone.now() - timedelta(seconds=40)
    row = Generation.objects.filter(pk=running.pk)
    row.update(status=Status.IN_PROGRESS, started_at=long_ago)
    assert level() == "shaky"
    row.update(stage="queued", stage_position=2)  # it said why
    assert level() == "unknown"
    row.update(stage="", first_delta_at=timezone.now())
    assert level() == "unknown"


def test_backends_are_told_apart(ended):
    ended(backend="echo")
    failed(ended, backend="scripted")
    failed(ended, backend="scripted")
    found = health({"echo", "scripted", "other"})
    assert {alias: each.level for alias, each in found.items()} == {
        "echo": "works",
        "scripted": "down",
        "other": "unknown",
    }


class TestProbes:
    """What probes found, and cooling off, besides how answers ended."""

    @pytest.fixture
    def row(self, settings):
        settings.CHAT_COOLING_FAILURES, settings.CHAT_PROBE_INTERVAL = 3, 60.0
        now = timezone.now()

        def make(**values):
            BackendState.objects.update_or_create(alias="echo", defaults={"probed_at": now, **values})
            return level()

        make.now = now
        return make

    def test_a_good_one_says_that_it_works(self, row):
        assert row() == "unknown"
        assert row(told_at=row.now) == "works"

    def test_failed_ones(self, row):
        assert row(probe_failures=1) == "shaky"
        assert row(probe_failures=2, failing_since=row.now) == "down"
        assert health({"echo"})["echo"].since == row.now
        assert row(probe_failures=2, probed_at=row.now - timedelta(hours=1)) == "unknown"

    def test_a_good_one_ends_an_outage_of_answers_halfway(self, row, ended):
        failed(ended, ago=60)
        failed(ended, ago=30)
        assert row() == "down"
        assert row(told_at=row.now) == "shaky"

    def test_cooling_off(self, row, settings):
        assert row(cooling_until=row.now + timedelta(seconds=15)) == "down"
        assert row(cooling_until=row.now) == "unknown"  # somebody may try: nobody would if it were said to be down
        settings.CHAT_COOLING_FAILURES = 0
        assert row(cooling_until=row.now + timedelta(seconds=15)) == "unknown"


def test_queries_do_not_grow(ended, django_assert_num_queries):
    aliases = {f"backend-{number}" for number in range(5)}
    for alias in aliases:
        for _ in range(3):
            failed(ended, backend=alias)
    with django_assert_num_queries(5):
        observe(aliases)
    health(aliases)
    with django_assert_num_queries(0):
        health(aliases)


def test_the_newest_answers_are_found_by_an_index(db):
    rows = backend_health._ended({"echo"}, timezone.now())
    assert "generation_outcomes" in rows.values("pk").explain()


def test_nothing_is_known_of_nothing():
    assert judge(Observation()) == Health("unknown")


def test_words():
    now = timezone.localtime().replace(hour=12, minute=31)
    assert health_words(Health("works")) == "Works"
    assert health_words(Health("down", now)) == "Down since 12:31 p.m."
    assert health_words(Health("down", now - timedelta(days=3))) != "Down since 12:31 p.m."
    assert health_words(Health("down")) == "Down"


def test_the_page_says_it(alice_client, ended):
    Assistant.objects.update(name="Helper")
    failed(ended)
    failed(ended)
    page = alice_client.get(reverse("chat:home")).content.decode()
    assert 'data-health="down"' in page
    assert "Down since" in page


class TestView:
    def test_it_works(self, alice_client, ended):
        ended()
        found = alice_client.get(reverse("chat:assistants_health")).json()
        assert found == {"assistants": {"echo": {"level": "works", "words": "Works"}}}

    def test_it_tells_of_nothing_else(self, alice_client, echo, scripted):
        from django.contrib.auth.models import Group

        scripted.groups.add(Group.objects.create(name="team"))
        assert set(alice_client.get(reverse("chat:assistants_health")).json()["assistants"]) == {"echo"}
