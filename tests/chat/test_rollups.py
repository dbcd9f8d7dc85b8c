"""Usage added up by hours and days is what the records say."""

from __future__ import annotations

import math
import random
import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from importlib import import_module
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from backends import Usage
from chat import rollups
from chat.generation import Question, end_generation, start_conversation
from chat.models import FirstTextRollUp, Generation, PersonRollUp, Price, Status, UsageRecord, UsageRollUp, User
from chat.retention.deleting import erase_conversation
from tests.chat.test_races import at_once

MODELS = (UsageRollUp, PersonRollUp, FirstTextRollUp)
BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")
# Clocks are put forward at midnight there: the day begins at 01:00.
SANTIAGO = ZoneInfo("America/Santiago")
HAVANA = ZoneInfo("America/Havana")
"""Where clocks are put back at 01:00: there are two midnights."""


def make_record(at: datetime, **values) -> UsageRecord:
    defaults = {
        "user_id": 1,
        "username": "alice",
        "assistant_id": 1,
        "assistant_name": "Echo",
        "backend": "echo",
        "generation_id": 1,
        "conversation_id": uuid.uuid4(),
        "input_tokens": 10,
        "output_tokens": 20,
        "cost": Decimal("0.001"),
        "first_text_ms": 400,
        "outcome": Status.COMPLETED,
        "finish_reason": "stop",
    }
    return UsageRecord(at=at, **{**defaults, **values})


def make_records(number: int, start: datetime, length: timedelta, seed: int = 1) -> list[UsageRecord]:
    chance = random.Random(seed)
    ends = [("completed", "stop", ""), ("cancelled", "", ""), ("failed", "", "rate_limited"), ("incomplete", "x", "")]
    records = []
    for _ in range(number):
        outcome, reason, code = chance.choice(ends)
        assistant = chance.randrange(1, 4)
        records.append(
            make_record(
                start + length * chance.random(),
                user_id=chance.randrange(1, 6),
                assistant_id=chance.choice([assistant, None]),
                assistant_name=f"Assistant {assistant}",
                backend=f"backend-{assistant % 2}",
                model=chance.choice(["", "m"]),
                input_tokens=chance.randrange(1000),
                output_tokens=chance.randrange(1000),
                cost=Decimal(chance.randrange(10**6)) / 10**6,
                first_text_ms=chance.choice([None, chance.randrange(0, 90_000)]),
                outcome=outcome,
                finish_reason=reason,
                error_code=code,
            )
        )
    return records


def rows() -> dict:
    """All that is added up, as comparable values."""
    return {
        model: {
            tuple(row[key] for key in model.KEYS): tuple(round(Decimal(row[name]), 6) for name in model.SUMS)
            for row in model.objects.values()
        }
        for model in MODELS
    }


def naively(records: list[UsageRecord], zone: ZoneInfo) -> dict[tuple, tuple[int, int, Decimal]]:
    """Answers, tokens and cost of each local date."""
    days: dict = defaultdict(lambda: (0, 0, Decimal(0)))
    for record in records:
        date = record.at.astimezone(zone).date()
        answers, tokens, cost = days[date]
        days[date] = (answers + 1, tokens + record.input_tokens + record.output_tokens, cost + record.cost)
    return dict(days)


@pytest.mark.django_db
@pytest.mark.parametrize("zone", [UTC, BERLIN, KOLKATA, SANTIAGO, HAVANA], ids=str)
@pytest.mark.parametrize("when", [datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)], ids=str)
def test_it_works(zone, when):
    with timezone.override(zone):
        records = make_records(400, when, timedelta(days=75))
        rollups.add(records)
        expected = naively(records, zone)
        for grain in ("day", "hour"):
            found: dict = defaultdict(lambda: (0, 0, Decimal(0)))
            for row in UsageRollUp.objects.filter(grain=grain):
                date = row.starts_at.astimezone(zone).date()
                answers, tokens, cost = found[date]
                tokens += row.input_tokens + row.output_tokens
                found[date] = (answers + row.answers, tokens, round(cost + row.cost, 6))
            assert dict(found) == expected
        starts = set(UsageRollUp.objects.filter(grain="day").values_list("starts_at", flat=True))
        assert len(starts) == len(expected)


@pytest.mark.django_db
@pytest.mark.parametrize("zone", [UTC, BERLIN, KOLKATA, HAVANA], ids=str)
def test_any_hours_are_covered_by_days_and_hours(zone):
    with timezone.override(zone):
        begin = datetime(2026, 10, 20, tzinfo=UTC)
        records = make_records(300, begin, timedelta(days=16))
        rollups.add(records)
        chance = random.Random(3)
        for _ in range(60):
            start, end = sorted(rollups.hour_of(begin + timedelta(days=16) * chance.random()) for _ in range(2))
            expected = [record for record in records if start <= record.at < end]
            for model in (UsageRollUp, PersonRollUp):
                found = model.objects.filter(rollups.covering(start, end)).aggregate(
                    answers=Sum("answers"), tokens=Sum("output_tokens")
                )
                assert (found["answers"] or 0) == len(expected)
                assert (found["tokens"] or 0) == sum(record.output_tokens for record in expected)


@given(st.integers(0, 2 * 366 * 24 * 3600), st.sampled_from([UTC, BERLIN, KOLKATA, SANTIAGO]))
def test_days_and_hours_begin_by_the_clock(seconds, zone):
    moment = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    with timezone.override(zone):
        day, hour = rollups.day_of(moment), rollups.hour_of(moment)
        assert day <= hour <= moment
        assert moment - hour < timedelta(hours=1)
        assert day.astimezone(zone).date() == moment.astimezone(zone).date()
        after = rollups.days_later(day, 1)
        assert timedelta(hours=23) <= after - day <= timedelta(hours=25)
        assert rollups.day_of(after) == after
        assert rollups.days_later(after, -1) == day


@given(st.lists(st.integers(0, 600_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_percentile_is_near_the_true_one(times, share):
    buckets: dict[int, int] = defaultdict(int)
    for milliseconds in times:
        buckets[rollups.bucket_of(milliseconds)] += 1
    found = rollups.percentile(buckets, share)
    true = sorted(times)[math.ceil(len(times) * share) - 1]
    assert found == pytest.approx(max(true, 1), rel=0.0451)


def test_there_is_no_percentile_of_nothing():
    assert rollups.percentile({}, 0.95) is None


@pytest.mark.django_db
def test_an_answer_is_counted_when_it_ends(alice, echo):
    question = Question(content="Hello", assistant=echo, key=uuid.uuid4())
    generation = start_conversation(alice, question)
    end_generation(generation, Status.COMPLETED, used=Usage(3, 4), finish_reason="stop")
    for grain in ("hour", "day"):
        row = UsageRollUp.objects.get(grain=grain)
        assert (row.assistant_name, row.answers, row.input_tokens, row.output_tokens) == ("Echo", 1, 3, 4)
        assert PersonRollUp.objects.get(grain=grain).user_id == alice.pk
    assert not FirstTextRollUp.objects.exists()  # there was no text


@pytest.mark.django_db
def test_an_erased_answer_is_counted(alice, echo):
    generation = start_conversation(alice, Question(content="Hello", assistant=echo, key=uuid.uuid4()))
    erase_conversation(generation.message.conversation)
    assert UsageRollUp.objects.filter(outcome="cancelled").aggregate(Sum("answers")) == {"answers__sum": 2}


@pytest.mark.django_db
def test_what_is_rolled_back_is_not_counted():
    with transaction.atomic():
        rollups.add([make_record(timezone.now())])
        transaction.set_rollback(True)
    assert not UsageRollUp.objects.exists()


@pytest.mark.django_db
def test_a_new_name_is_the_assistants_name(db):
    now = timezone.now()
    rollups.add([make_record(now)])
    rollups.add([make_record(now, assistant_name="New")])
    assert set(UsageRollUp.objects.values_list("assistant_name", "answers")) == {("New", 2)}


@pytest.mark.django_db
@pytest.mark.parametrize("zone", [UTC, BERLIN, KOLKATA], ids=str)
def test_rebuilt_and_filled_they_are_the_same(zone):
    with timezone.override(zone):
        records = make_records(300, timezone.now() - timedelta(days=20), timedelta(days=20))
        UsageRecord.objects.bulk_create(records)
        rollups.add(records)
        expected = rows()
        for model in MODELS:
            model.objects.update(answers=7)
        output = StringIO()
        call_command("rebuild_rollups", stdout=output)
        assert output.getvalue() == "300 usage records added up.\n"
        assert rows() == expected
        for model in MODELS:
            model.objects.all().delete()
        import_module("chat.migrations.0010_overview").fill_rollups(apps, None)
        assert rows() == expected


@pytest.mark.django_db
def test_to_rebuild_nothing_keeps_what_is_older_than_all_records():
    old = make_record(timezone.now() - timedelta(days=400))
    rollups.add([old])
    assert rollups.rebuild() == 0
    new = make_record(timezone.now())
    UsageRecord.objects.bulk_create([new])
    assert rollups.rebuild() == 1
    assert UsageRollUp.objects.filter(grain="day").count() == 2


@pytest.mark.django_db
def test_the_migration_gives_each_assistant_its_first_price(echo):
    Price.objects.all().delete()
    echo.__class__.objects.update(input_price=Decimal("1.5"))
    import_module("chat.migrations.0010_overview").fill_prices(apps, None)
    assert Price.objects.get().input_price == Decimal("1.5")


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_many_answers_end_at_once(self, echo, scripted):
        """Roll-ups are what the records say, while everything is counted in few rows, and added up anew meanwhile."""
        people = [User.objects.create_user(f"person-{number}") for number in range(4)]
        started = [
            start_conversation(
                people[n % 4], Question(content="x", assistant=(echo, scripted)[n % 2], key=uuid.uuid4())
            )
            for n in range(32)
        ]
        Generation.objects.update(first_delta_at=timezone.now())
        ends = [partial(end_generation, one, Status.COMPLETED, used=Usage(3, 7)) for one in started]
        outcomes = at_once(*ends[:16], rollups.rebuild, *ends[16:])
        assert outcomes.count(True) == 32
        assert UsageRecord.objects.count() == 32
        found = rows()
        rollups.rebuild()
        assert rows() == found
        total = UsageRollUp.objects.filter(grain="hour").aggregate(Sum("answers"), Sum("output_tokens"))
        assert total == {"answers__sum": 32, "output_tokens__sum": 224}
        assert FirstTextRollUp.objects.filter(grain="day").aggregate(Sum("answers")) == {"answers__sum": 32}
