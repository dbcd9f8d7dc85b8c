"""What people may use: rules, what running answers set aside, what is counted in the end."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from backends import Usage
from chat import quotas
from chat.generation import (
    Question,
    cancel_generation,
    continue_generation,
    end_generation,
    regenerate,
    start_conversation,
)
from chat.models import (
    AppendOnlyError,
    Conversation,
    Generation,
    Message,
    Metric,
    Period,
    Quota,
    QuotaCounter,
    Reservation,
    Status,
    UsageRecord,
    User,
)
from chat.refusals import QuotaExceededError
from chat.retention.deleting import erase_conversation
from tests.chat.test_races import at_once


@pytest.fixture
def priced(echo):
    """An assistant that costs 1 a thousand input tokens and 2 a thousand output tokens, of which it writes 100."""
    echo.input_price, echo.output_price, echo.max_output_tokens = Decimal(1000), Decimal(2000), 100
    echo.save()
    return echo


def begin(owner: User, assistant, content: str = "Hello there") -> Generation:
    return start_conversation(owner, Question(content=content, assistant=assistant, key=uuid.uuid4()))


def used_and_reserved() -> tuple[Decimal, Decimal]:
    counter = QuotaCounter.objects.get()
    return counter.used, counter.reserved


class TestRequests:
    def test_it_works(self, alice, echo):
        Quota.objects.create(metric=Metric.REQUESTS, limit=2, period=Period.DAY)
        begin(alice, echo)
        begin(alice, echo)
        with pytest.raises(QuotaExceededError) as refused:
            begin(alice, echo)
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        assert refused.value.resets_at == midnight
        assert Conversation.objects.count() == Generation.objects.count() == 2

    def test_each_person_has_their_own(self, alice, charlie, echo):
        Quota.objects.create(metric=Metric.REQUESTS, limit=1)
        begin(alice, echo)
        begin(charlie, echo)

    def test_a_shared_one_is_for_all_together(self, alice, charlie, echo):
        Quota.objects.create(metric=Metric.REQUESTS, limit=1, is_shared=True)
        begin(alice, echo)
        with pytest.raises(QuotaExceededError):
            begin(charlie, echo)

    def test_zero_allows_nothing(self, alice, echo):
        Quota.objects.create(metric=Metric.TOKENS, limit=0)
        with pytest.raises(QuotaExceededError):
            begin(alice, echo)
        assert not Message.objects.exists()

    @pytest.mark.parametrize("status", [Status.FAILED, Status.INCOMPLETE])
    def test_what_failed_or_was_interrupted_is_given_back(self, alice, echo, status):
        Quota.objects.create(metric=Metric.REQUESTS, limit=1)
        generation = begin(alice, echo)
        reason = "interrupted" if status == Status.INCOMPLETE else ""
        end_generation(generation, status, finish_reason=reason)
        begin(alice, echo)

    def test_what_was_cancelled_before_it_began_is_given_back(self, alice, echo):
        Quota.objects.create(metric=Metric.REQUESTS, limit=1)
        cancel_generation(begin(alice, echo))
        begin(alice, echo)

    def test_answering_again_and_continuing_count(self, alice, echo):
        Quota.objects.create(metric=Metric.REQUESTS, limit=1)
        generation = begin(alice, echo)
        Message.objects.filter(pk=generation.pk).update(content="The beginning")
        Generation.objects.update(status=Status.IN_PROGRESS, started_at=timezone.now())
        generation.refresh_from_db()
        end_generation(generation, Status.INCOMPLETE, finish_reason="length")
        message = Message.objects.select_related("conversation", "generation").get(pk=generation.pk)
        with pytest.raises(QuotaExceededError):
            regenerate(message, echo)
        with pytest.raises(QuotaExceededError):
            continue_generation(message)
        assert Generation.objects.get().status == Status.INCOMPLETE


class TestWhom:
    def test_of_a_group(self, alice, charlie, echo):
        group = Group.objects.create(name="trial")
        Quota.objects.create(group=group, metric=Metric.REQUESTS, limit=0)
        alice.groups.add(group, Group.objects.create(name="other"))
        with pytest.raises(QuotaExceededError):
            begin(alice, echo)
        begin(charlie, echo)

    def test_of_an_assistant(self, alice, echo, scripted):
        Quota.objects.create(assistant=echo, metric=Metric.REQUESTS, limit=0)
        with pytest.raises(QuotaExceededError):
            begin(alice, echo)
        begin(alice, scripted)

    def test_all_rules_hold_at_once(self, alice, echo):
        Quota.objects.create(metric=Metric.REQUESTS, limit=100, period=Period.MONTH)
        Quota.objects.create(user=alice, metric=Metric.REQUESTS, limit=1, period=Period.HOUR)
        begin(alice, echo)
        with pytest.raises(QuotaExceededError, match="alice"):
            begin(alice, echo)
        assert set(QuotaCounter.objects.values_list("reserved", flat=True)) == {1}

    def test_an_inactive_rule_holds_nobody(self, alice, echo):
        Quota.objects.create(metric=Metric.REQUESTS, limit=0, is_active=False)
        begin(alice, echo)


class TestTokens:
    def test_they_are_set_aside_and_counted(self, alice, priced):
        Quota.objects.create(metric=Metric.TOKENS, limit=1000)
        generation = begin(alice, priced, "x" * 40)
        assert used_and_reserved() == (0, 110)
        Generation.objects.update(status=Status.IN_PROGRESS, started_at=timezone.now())
        generation.refresh_from_db()
        end_generation(generation, Status.COMPLETED, used=Usage(12, 30), finish_reason="stop")
        assert used_and_reserved() == (42, 0)
        assert not Reservation.objects.exists()

    def test_money_at_the_price_of_the_assistant(self, alice, priced):
        Quota.objects.create(metric=Metric.COST, limit=Decimal("0.5"))
        generation = begin(alice, priced, "x" * 40)
        assert used_and_reserved() == (0, Decimal("0.21"))
        Generation.objects.update(status=Status.IN_PROGRESS, started_at=timezone.now())
        generation.refresh_from_db()
        end_generation(generation, Status.COMPLETED, used=Usage(12, 30), finish_reason="stop")
        assert used_and_reserved() == (Decimal("0.072"), 0)

    def test_it_is_overspent_by_one_answer_at_most(self, alice, priced):
        Quota.objects.create(metric=Metric.TOKENS, limit=150)
        begin(alice, priced)
        begin(alice, priced)
        with pytest.raises(QuotaExceededError):
            begin(alice, priced)

    def test_an_answer_that_was_cancelled_counts_as_far_as_it_came(self, alice, priced):
        Quota.objects.create(metric=Metric.TOKENS, limit=1000)
        generation = begin(alice, priced, "x" * 40)
        Generation.objects.update(status=Status.IN_PROGRESS, started_at=timezone.now())
        Message.objects.filter(pk=generation.pk).update(content="y" * 80)
        generation.refresh_from_db()
        cancel_generation(generation)
        assert used_and_reserved() == (30, 0)
        assert UsageRecord.objects.get().is_estimated

    def test_a_deleted_conversation_gives_back_what_was_set_aside(self, alice, priced):
        Quota.objects.create(metric=Metric.TOKENS, limit=1000)
        erase_conversation(begin(alice, priced).message.conversation)
        quotas.settle_orphans()
        assert used_and_reserved()[1] == 0
        assert quotas.settle_orphans() == 0


class TestPeriods:
    @pytest.mark.parametrize(
        ("period", "start", "end"),
        [
            (Period.MINUTE, "2026-03-28 15:04", "2026-03-28 15:05"),
            (Period.HOUR, "2026-03-28 15:00", "2026-03-28 16:00"),
            (Period.DAY, "2026-03-28 00:00", "2026-03-29 00:00"),
            (Period.MONTH, "2026-03-01 00:00", "2026-04-01 00:00"),
        ],
    )
    def test_by_the_calendar(self, period, start, end):
        zone = ZoneInfo("Europe/Berlin")
        with timezone.override(zone):
            rule = Quota(period=period)
            now = datetime(2026, 3, 28, 15, 4, 5, tzinfo=zone)
            assert f"{timezone.localtime(rule.bucket(now)):%Y-%m-%d %H:%M}" == start
            assert f"{timezone.localtime(rule.ends(rule.bucket(now))):%Y-%m-%d %H:%M}" == end

    def test_a_day_on_which_clocks_are_set_ends_at_midnight(self):
        with timezone.override(ZoneInfo("Europe/Berlin")):
            rule = Quota(period=Period.DAY)
            start = rule.bucket(datetime(2026, 3, 29, 12, tzinfo=UTC))
            assert rule.ends(start).astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=23)

    def test_december_ends_with_the_year(self):
        rule = Quota(period=Period.MONTH)
        assert rule.ends(rule.bucket(datetime(2026, 12, 24, tzinfo=UTC))).year == 2027

    def test_a_new_period_begins_at_nothing(self, alice, echo):
        Quota.objects.create(metric=Metric.REQUESTS, limit=1, period=Period.HOUR)
        begin(alice, echo)
        QuotaCounter.objects.update(starts_at=F("starts_at") - timedelta(hours=1))
        begin(alice, echo)

    def test_a_rolling_one_frees_what_is_old_enough(self, alice, echo):
        rule = Quota.objects.create(metric=Metric.REQUESTS, limit=2, period=Period.DAY, is_rolling=True)
        for _ in range(2):
            begin(alice, echo)
            QuotaCounter.objects.update(starts_at=F("starts_at") - timedelta(hours=10))
        with pytest.raises(QuotaExceededError) as refused:
            begin(alice, echo)
        oldest = QuotaCounter.objects.order_by("starts_at").first()
        assert refused.value.resets_at == oldest.starts_at + timedelta(days=1) + timedelta(days=1) / 30
        assert quotas.meters(alice)[0].resets_at == refused.value.resets_at
        QuotaCounter.objects.filter(pk=oldest.pk).update(starts_at=timezone.now() - rule.length - timedelta(hours=1))
        begin(alice, echo)

    def test_old_counters_are_forgotten(self, alice, echo):
        Quota.objects.create(metric=Metric.REQUESTS, limit=9, period=Period.HOUR)
        end_generation(begin(alice, echo), Status.COMPLETED)
        begin(alice, echo)
        quotas.forget_old_counters()
        assert QuotaCounter.objects.exists()
        QuotaCounter.objects.update(starts_at=timezone.now() - timedelta(days=1))
        quotas.forget_old_counters()
        assert QuotaCounter.objects.exists()  # something is set aside in it
        Reservation.objects.all().delete()
        quotas.forget_old_counters()
        assert not QuotaCounter.objects.exists()


class TestMeters:
    def test_it_works(self, alice, echo, django_assert_num_queries):
        Quota.objects.create(metric=Metric.REQUESTS, limit=5)
        Quota.objects.create(metric=Metric.REQUESTS, limit=1, period=Period.MONTH)
        begin(alice, echo)
        with django_assert_num_queries(2):
            month, day = quotas.meters(alice)
        assert (month.share, month.is_near, month.is_used_up) == (1, True, True)
        assert (day.share, day.is_near, day.is_used_up) == (Decimal("0.2"), False, False)

    def test_without_rules_there_are_none(self, alice):
        assert quotas.meters(alice) == []


class TestUsageRecords:
    def test_it_outlives_the_conversation(self, alice, priced):
        generation = begin(alice, priced)
        Generation.objects.update(status=Status.IN_PROGRESS, started_at=timezone.now())
        generation.refresh_from_db()
        end_generation(generation, Status.COMPLETED, used=Usage(12, 30), finish_reason="stop")
        alice.delete()
        record = UsageRecord.objects.get()
        assert (record.username, record.assistant_name, record.backend) == ("alice", "Echo", "echo")
        assert (record.input_tokens, record.output_tokens, record.cost) == (12, 30, Decimal("0.072"))
        assert (record.outcome, record.finish_reason, record.is_estimated) == ("completed", "stop", False)

    def test_a_new_price_leaves_past_cost_alone(self, alice, priced):
        end_generation(begin(alice, priced), Status.COMPLETED, used=Usage(1000, 0), finish_reason="stop")
        priced.input_price = 0
        priced.save()
        assert UsageRecord.objects.get().cost == 1

    def test_there_is_one_for_each_run(self, alice, priced):
        generation = begin(alice, priced)
        Message.objects.filter(pk=generation.pk).update(content="The beginning")
        end_generation(generation, Status.INCOMPLETE, used=Usage(3, 4), finish_reason="length")
        continue_generation(Message.objects.select_related("conversation", "generation").get(pk=generation.pk))
        generation.refresh_from_db()
        end_generation(generation, Status.COMPLETED, used=Usage(7, 5), finish_reason="stop")
        assert list(UsageRecord.objects.order_by("pk").values_list("output_tokens", flat=True)) == [4, 5]
        generation.refresh_from_db()
        assert (generation.input_tokens, generation.output_tokens) == (10, 9)

    def test_it_never_changes(self, alice, echo):
        end_generation(begin(alice, echo), Status.COMPLETED)
        record = UsageRecord.objects.get()
        changes = [
            record.save,
            record.delete,
            partial(UsageRecord.objects.update, cost=0),
            UsageRecord.objects.all().delete,
        ]
        for change in changes:
            with pytest.raises(AppendOnlyError):
                change()


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    @pytest.mark.parametrize("is_shared", [False, True])
    def test_fifty_at_once_overspend_by_one_answer_at_most(self, echo, is_shared):
        """Of fifty requests as many are let in as there is room for, and none stays in between."""
        echo.max_output_tokens = 100
        echo.save()
        people = [User.objects.create_user(f"person-{number}") for number in range(10)]
        Quota.objects.create(metric=Metric.TOKENS, limit=250, is_shared=is_shared)
        outcomes = at_once(*[partial(begin, people[number % 10], echo) for number in range(50)])
        let_in = [outcome for outcome in outcomes if isinstance(outcome, Generation)]
        assert outcomes.count("QuotaExceededError") == 50 - len(let_in)
        # 103 tokens each: the third is the one that goes past the limit.
        assert len(let_in) == (3 if is_shared else 30)
        for counter in QuotaCounter.objects.all():
            assert (counter.used, counter.reserved) == (0, 309)
        at_once(*[partial(end_generation, one, Status.COMPLETED, used=Usage(3, 7)) for one in let_in])
        for counter in QuotaCounter.objects.all():
            assert (counter.used, counter.reserved) == (30, 0)
        assert not Reservation.objects.exists()
        assert UsageRecord.objects.count() == len(let_in)


class TestPages:
    def test_people_see_what_is_left(self, alice, alice_client, echo):
        Quota.objects.create(metric=Metric.REQUESTS, limit=5, period=Period.MONTH)
        assert b'class="meter' not in alice_client.get("/").content
        for _ in range(4):
            begin(alice, echo)
        assert "80% of 5 requests / month used" in alice_client.get("/").content.decode()
        assert "80% of 5 requests / month used" in alice_client.get(reverse("chat:preferences")).content.decode()

    def test_they_are_told_when_it_resets(self, alice, alice_client, echo):
        Quota.objects.create(metric=Metric.REQUESTS, limit=0, period=Period.HOUR)
        form = {"content": "Hello there", "key": uuid.uuid4(), "assistant": "echo"}
        refused = alice_client.post("/", form, headers={"Accept": "application/json"})
        assert refused.status_code == 429
        assert 0 < int(refused["Retry-After"]) <= 3600
        assert "You can go on at" in refused.json()["errors"]["__all__"][0]
        page = alice_client.post("/", form)
        assert page.status_code == 429
        assert "Hello there" in page.content.decode()
