"""The admin's first page: its figures are those of the records, however many there are."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat import rollups
from chat.models import AuditEntry, Drain, Feedback, Generation, Metric, Quota, QuotaCounter, UsageRecord, User
from chat.operation import draining
from chat.overview.alerts import alerts
from chat.overview.backends import backends
from chat.overview.board import change
from chat.overview.figures import figures, waits
from chat.overview.people import people
from chat.overview.ranges import range_of
from chat.overview.running import numbers, running
from chat.people.reading import name_of
from tests.chat.test_rollups import BERLIN, KOLKATA, make_record, make_records

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_runner")]
HOME = "admin:index"


@pytest.fixture
def home(client, staff):
    client.force_login(staff)

    def get(**query):
        response = client.get(reverse(HOME), query)
        assert response.status_code == 200
        return response

    get.client = client
    return get


@pytest.fixture
def helper(client):
    """Somebody who may do nothing but sign in to the admin, and is given permissions."""
    user = User.objects.create_user("helper", password="x", is_staff=True)

    def give(*names: str) -> str:
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        client.force_login(User.objects.get(pk=user.pk))
        return client.get(reverse(HOME)).content.decode()

    return give


def keep(records: list[UsageRecord]) -> list[UsageRecord]:
    UsageRecord.objects.bulk_create(records)
    rollups.add(records)
    return records


@pytest.mark.parametrize("zone", [UTC, BERLIN, KOLKATA], ids=str)
@pytest.mark.parametrize("key", ["24h", "14d", "90d"])
@pytest.mark.parametrize(
    "now",
    [
        # Clocks are set within the range, and within the one before.
        datetime(2026, 3, 29, 20, 40, tzinfo=UTC),
        datetime(2026, 11, 3, 23, 30, tzinfo=UTC),
    ],
    ids=str,
)
def test_figures_are_those_of_the_records(zone, key, now):
    with timezone.override(zone):
        shown = range_of(key, now)
        long = timedelta(days=2 if key == "24h" else 190)
        records = [record for record in make_records(500, now - long, long) if record.at <= now]
        rollups.add(records)
        for hours in rollups.old_hours(now):
            hours.delete()
        inside = [record for record in records if record.at >= shown.start]
        before = [record for record in records if shown.before[0] <= record.at < shown.before[1]]
        assert inside
        assert before
        found, waited, active = figures(shown), waits(shown), people(shown)
        check_totals(found, inside, before, shown)
        assert active.active == len({record.user_id for record in inside})
        assert active.before == len({record.user_id for record in before})
        times = sorted(record.first_text_ms for record in inside if record.first_text_ms is not None)
        assert waited.p95 == pytest.approx(max(1, times[-(-len(times) * 95 // 100) - 1]), rel=0.0451)
        tokens: dict = defaultdict(int)
        for record in inside:
            tokens[record.user_id] += record.input_tokens + record.output_tokens
        assert [(one.id, one.tokens) for one in active.top] == sorted(tokens.items(), key=lambda one: -one[1])[:6]


def check_totals(found, inside, before, shown):
    for used, records in ((found.total, inside), (found.before, before)):
        assert used.answers == len(records)
        assert used.tokens == sum(record.input_tokens + record.output_tokens for record in records)
        assert round(used.cost, 6) == sum(record.cost for record in records)
    ends = [*shown.starts[1:], shown.end]
    for start, end, used in zip(shown.starts, ends, found.buckets, strict=True):
        assert used.answers == sum(start <= record.at < end for record in inside)
    failed = [record for record in inside if record.outcome == "failed"]
    assert [(failure.code, failure.answers) for failure in found.failures] == [("rate_limited", len(failed))]
    tokens = [sum(each.tokens for each in series) for _name, series in found.assistants]
    assert sum(tokens) == found.total.tokens
    assert tokens == sorted(tokens, reverse=True)


class TestRanges:
    def test_days_are_those_of_the_site(self):
        with timezone.override(BERLIN):
            shown = range_of("14d", datetime(2026, 4, 2, 22, 30, tzinfo=UTC))  # the 3rd in Berlin
            local = [start.astimezone(BERLIN) for start in shown.starts]
            assert [f"{one:%m-%d %H:%M}" for one in (local[0], local[-1])] == ["03-21 00:00", "04-03 00:00"]
            assert shown.end - shown.start == timedelta(days=14) - timedelta(hours=1)
            assert shown.before[1].astimezone(BERLIN).strftime("%m-%d %H:%M") == "03-20 00:00"

    def test_an_unknown_one_is_the_usual_one(self):
        assert range_of("<x>").key == "14d"

    def test_the_range_before_never_reaches_into_this_one(self):
        with timezone.override(ZoneInfo("Europe/Berlin")):
            for hour in range(25):
                shown = range_of("14d", datetime(2026, 10, 24, 22, tzinfo=UTC) + timedelta(hours=hour))
                assert shown.before[0] < shown.before[1] <= shown.start


class TestPage:
    def test_it_works(self, home, alice, echo, ask):
        asked = ask(echo, "What is *written* now?")
        keep([make_record(timezone.now(), user_id=alice.pk, cost=Decimal("1.5"), first_text_ms=800)])
        page = home().content.decode()
        for text in (
            "Overview",
            "1.50 USD",
            name_of(asked.message.conversation_id),
            "1 answer in progress",
            "alice",
            "Recent actions",
        ):
            assert text in page
        assert "What is" not in page
        assert 'id="nav-sidebar"' in page
        assert "style=" not in page

    def test_a_new_site_says_what_will_be_here(self, home):
        page = home().content.decode()
        assert "Nothing has been asked yet" in page
        assert "Nothing was used in this time." in page

    def test_ranges(self, home):
        now = timezone.now()
        keep([make_record(now), make_record(now - timedelta(days=3)), make_record(now - timedelta(days=60))])
        answers = {key: home(range=key).context["overview"]["figures"].total.answers for key in ("24h", "14d", "90d")}
        assert answers == {"24h": 1, "14d": 2, "90d": 3}
        assert 'aria-current="page">90 days' in home(range="90d").content.decode()
        assert home(range="nonsense").context["overview"]["range"].key == "14d"

    def test_nothing_is_markup_that_somebody_wrote(self, home, alice, echo, ask):
        evil = "<img src=x onerror=alert(1)>"
        ask(echo, evil)
        keep([make_record(timezone.now(), assistant_name=evil, backend=evil, outcome="failed", error_code=evil)])
        assert evil not in home().content.decode()

    def test_failures_lead_to_their_list(self, home, ask, echo):
        failed, other = ask(echo, "It broke"), ask(echo, "It went well")
        Generation.objects.filter(pk=failed.pk).update(status="failed", error_code="rate_limited")
        Generation.objects.filter(pk=other.pk).update(status="completed")
        keep([make_record(timezone.now(), outcome="failed", error_code="rate_limited")])
        page = home()
        assert "The model has too many requests." in page.content.decode()
        link = next(part for part in page.content.decode().split('"') if "error_code=rate_limited" in part)
        listed = home.client.get(link.replace("&amp;", "&")).content.decode()
        assert name_of(failed.message.conversation_id) in listed
        assert name_of(other.message.conversation_id) not in listed

    def test_an_answer_can_be_cancelled(self, home, ask, echo):
        generation = ask(echo, "Hello")
        assert f"Cancel the answer in {name_of(generation.message.conversation_id)}" in home().content.decode()
        assert b"Hello" not in home().content
        form = {"action": "cancel_selected", "_selected_action": generation.pk}
        assert home.client.post(reverse("admin:chat_generation_changelist"), form).status_code == 302
        generation.refresh_from_db()
        assert generation.status == "cancelled"

    def test_the_page_of_an_app_is_djangos(self, home):
        page = home.client.get(reverse("admin:app_list", args=["chat"])).content.decode()
        assert "Assistants" in page
        assert "overview-head" not in page

    @pytest.mark.parametrize("rows", [1, 60])
    def test_queries_are_few_and_always_the_same(self, home, rows, alice, echo, ask):
        Quota.objects.create(metric=Metric.REQUESTS, limit=10)
        for number in range(1 if rows == 1 else 8):
            ask(echo, f"Question {number}")
        keep(make_records(rows, timezone.now() - timedelta(days=30), timedelta(days=30), seed=rows))
        home()  # Django looks up content types once
        with CaptureQueriesContext(connection) as queries:
            home()
        own = [query["sql"] for query in queries if "django_session" not in query["sql"]]
        # Health is known for some seconds; who is signed in, and the latest actions, are Django's.
        assert len(own) == 12 + 2, "\n".join(own)


class TestPermissions:
    PARTS = {
        "view_usagerecord": ("Tokens per day", "Failed answers", "Active people"),
        "view_generation": ("In progress", "Backends"),
        "view_quota": ("Quota alerts",),
        "view_feedback": ("All feedback",),
    }

    def test_each_part_needs_its_own(self, helper):
        for name in self.PARTS:
            page = helper(name)
            for other, words in self.PARTS.items():
                for text in words:
                    assert (text in page) == (other == name), (name, text)
        assert "In progress" in (everything := helper(*self.PARTS))
        assert "Tokens per day" in everything

    def test_without_any_there_is_djangos_page(self, helper):
        page = helper()
        assert "Overview" in page
        assert "kpi" not in page

    def test_who_may_not_cancel_has_no_button(self, helper, ask, echo):
        ask(echo, "Hello")
        assert "cancel_selected" not in helper("view_generation")
        assert "cancel_selected" in helper("view_generation", "change_generation")

    def test_strangers_sign_in_first(self, client, alice_client):
        assert client.get(reverse(HOME)).status_code == 302
        assert alice_client.get(reverse(HOME)).status_code == 302


class TestSheets:
    @pytest.mark.parametrize("part", ["over-time", "assistants", "backends", "failures"])
    def test_it_works(self, home, part):
        keep([make_record(timezone.now(), assistant_name="=1+1", outcome="failed", error_code="rate_limited")])
        response = home.client.get(reverse("admin:overview_csv", args=[part]), {"range": "24h"})
        assert response["Content-Disposition"].startswith(f'attachment; filename="{part}-24h-')
        header, *rows = csv.reader(io.StringIO(response.content.decode("utf-8-sig")))
        assert rows
        assert {len(row) for row in rows} == {len(header)}
        assert "=1+1" not in {cell for row in rows for cell in row}
        entry = AuditEntry.objects.get(action="usage.exported")
        assert (entry.actor, entry.detail) == ("staff", {"part": part, "range": "24h"})

    def test_it_is_refused(self, home, helper, client):
        assert home.client.get(reverse("admin:overview_csv", args=["secrets"])).status_code == 404
        helper("view_generation")
        assert client.get(reverse("admin:overview_csv", args=["backends"])).status_code == 403
        assert not AuditEntry.objects.filter(action="usage.exported").exists()


class TestRunning:
    def test_it_works(self, ask, echo, scripted):
        waits_, writes = ask(echo, "Waits"), ask(scripted, "Writes")
        now = timezone.now()
        Generation.objects.filter(pk=writes.pk).update(status="in_progress", started_at=now)
        writes.message.content = "x" * 40
        writes.message.save()
        writes.message.pieces.create(offset=40, text="y" * 20)
        found = running()
        assert [(one.title, one.status, one.tokens) for one in found] == [
            (name_of(writes.message.conversation_id), "in_progress", 15),
            (name_of(waits_.message.conversation_id), "queued", 0),
        ]
        assert numbers() == {"echo": (0, 1), "scripted": (1, 0)}
        states = {one.alias: (one.level, one.running, one.waiting) for one in backends(numbers())}
        assert states == {"echo": ("unknown", 0, 1), "scripted": ("unknown", 1, 0)}
        assert found[1].id == waits_.pk

    def test_a_drained_backend_says_so(self, db):
        draining.drain("echo", message="Back at noon.")
        found = {one.alias: (one.level, one.drained) for one in backends({})}
        assert found["echo"] == ("drained", "Back at noon.")
        assert found["scripted"][1] is None
        draining.drain(Drain.EVERYTHING)
        assert {one.level for one in backends({})} == {"drained"}


class TestAlerts:
    def test_it_works(self, alice, charlie, echo, django_assert_num_queries):
        rule = Quota.objects.create(metric=Metric.TOKENS, limit=100)
        shared = Quota.objects.create(metric=Metric.COST, limit=10, is_shared=True, assistant=echo)
        Quota.objects.create(metric=Metric.TOKENS, limit=0)
        now = timezone.now()
        gone = User.objects.create_user("gone")
        counts = [(rule, alice.pk, 70, 10), (rule, charlie.pk, 74, 0), (rule, gone.pk, 95, 0), (shared, 0, 9, 0)]
        for quota, person, used, reserved in counts:
            QuotaCounter.objects.create(
                quota=quota, person=person, starts_at=quota.bucket(now), used=used, reserved=reserved
            )
        yesterday = rule.bucket(now) - timedelta(days=1)
        QuotaCounter.objects.create(quota=rule, person=charlie.pk, starts_at=yesterday, used=100)
        gone_id = gone.pk
        gone.delete()
        with django_assert_num_queries(2):
            found = alerts()
        assert [(one.name, one.level, round(one.share * 100)) for one in found] == [
            (f"Deleted ({gone_id})", "hot", 95),
            ("All together", "hot", 90),
            ("alice", "warm", 80),
        ]

    def test_a_rolling_rule_adds_up_its_parts(self, alice):
        rule = Quota.objects.create(metric=Metric.REQUESTS, limit=10, is_rolling=True)
        now = timezone.now()
        for hours in (1, 12, 23):
            QuotaCounter.objects.create(
                quota=rule, person=alice.pk, starts_at=rule.bucket(now - timedelta(hours=hours)), used=3
            )
        QuotaCounter.objects.create(
            quota=rule, person=alice.pk, starts_at=rule.bucket(now - timedelta(hours=40)), used=3
        )
        assert [one.used for one in alerts()] == [9]

    def test_without_rules_there_are_none(self, django_assert_num_queries):
        with django_assert_num_queries(1):
            assert alerts() == []


class TestOpinions:
    def test_it_works(self, home, ask, echo, alice, charlie):
        for number, value in enumerate((1, 1, 1, -1)):
            answer = ask(echo, f"Question {number}").message
            Feedback.objects.create(message=answer, person=alice, value=value, comment=f"Comment {value}")
        old = timezone.now() - timedelta(days=20)
        Feedback.objects.create(message=answer, person=charlie, value=-1, comment="Long ago", updated_at=old)
        page = home().content.decode()
        assert "75 %" in page
        assert "Comment -1" in page
        assert "Comment 1" not in page
        assert "Long ago" not in page
        assert "Long ago" in home(range="90d").content.decode()


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [(150, 100, (True, "50 %")), (50, 100, (False, "50 %")), (100, 100, None), (5, 0, None), (0, 5, None)],
)
def test_changes(now, before, expected):
    found = change(now, before, more_is_good=True)
    assert (found and (found.is_up, found.percent)) == expected
    assert found is None or found.is_good == found.is_up
