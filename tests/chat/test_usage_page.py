"""Usage by filters: what is shown and downloaded is what the records say."""

from __future__ import annotations

import csv
import io
import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat import rollups
from chat.models import AuditEntry, UsageRecord, User
from chat.overview import records as records_module
from chat.overview.filtering import FilterForm
from chat.overview.records import COLUMNS, rows_of, usage
from tests.chat.test_rollups import BERLIN, make_record, make_records

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 20, tzinfo=UTC)


@pytest.fixture
def stored():
    with timezone.override(BERLIN):
        made = make_records(600, START, timedelta(days=20))
        UsageRecord.objects.bulk_create(made)
        rollups.add(made)
        yield list(UsageRecord.objects.order_by("at", "pk"))


@pytest.fixture
def page(client, staff):
    client.force_login(staff)

    def get(name="usage", **query):
        return client.get(reverse(f"admin:{name}"), query)

    get.client = client
    return get


def chosen(**query):
    form = FilterForm(query)
    assert form.is_valid(), form.errors
    return form.chosen


def matching(stored, query) -> list[UsageRecord]:
    """What a person would find by reading all records."""
    first, last = (date.fromisoformat(query[name]) for name in ("start", "end"))
    kept = []
    for record in stored:
        is_kept = first <= record.at.astimezone(BERLIN).date() <= last
        is_kept &= "person" not in query or record.user_id == int(query["person"])
        is_kept &= "assistant" not in query or (record.assistant_id or 0) == int(query["assistant"])
        is_kept &= "backend" not in query or record.backend == query["backend"]
        is_kept &= "outcome" not in query or record.outcome == query["outcome"]
        if is_kept:
            kept.append(record)
    return kept


FILTERS = [
    {},
    {"person": "2"},
    {"assistant": "1"},
    {"assistant": "0"},
    {"backend": "backend-1"},
    {"outcome": "failed"},
    {"person": "3", "backend": "backend-0", "outcome": "completed"},
]
DAYS = [("2026-03-20", "2026-04-09"), ("2026-03-29", "2026-03-29"), ("2026-03-28", "2026-03-30")]


@pytest.mark.parametrize(("days", "query"), list(itertools.product(DAYS, FILTERS)))
def test_it_works(stored, days, query):
    query = {"start": days[0], "end": days[1], **query}
    expected = matching(stored, query)
    with CaptureQueriesContext(connection) as queries:
        found = usage(chosen(**query))
    assert len(queries) <= 5  # two of them are for the form
    assert found.total.answers == len(expected)
    assert found.total.tokens == sum(record.input_tokens + record.output_tokens for record in expected)
    assert round(found.total.cost, 6) == sum((record.cost for record in expected), Decimal(0))
    for parts in (found.assistants, found.models, found.people):
        assert sum(part.used.answers for part in parts) == len(expected)
    assert sum(used.answers for used in found.totals) == len(expected)
    assert found.people_in_all == len({record.user_id for record in expected})
    rows = list(rows_of(chosen(**query)))
    assert [row[COLUMNS.index("conversation_id")] for row in rows] == [record.conversation_id for record in expected]


def test_the_day_on_which_clocks_are_set_has_23_hours(stored):
    assert len(usage(chosen(start="2026-03-29", end="2026-03-29")).totals) == 23


def test_records_of_the_same_moment_come_once(stored, monkeypatch):
    monkeypatch.setattr(records_module, "AT_ONCE", 7)
    moment = START + timedelta(days=1)
    UsageRecord.objects.bulk_create([make_record(moment) for _ in range(40)])
    filters = chosen(start="2026-03-20", end="2026-04-09")
    ids = [row[COLUMNS.index("conversation_id")] for row in rows_of(filters)]
    assert len(ids) == len(set(ids)) == 640


class TestPage:
    def test_it_works(self, page, stored, alice):
        response = page(start="2026-03-20", end="2026-04-09")
        text = response.content.decode()
        assert "600 answers" in text
        for words in ("Tokens per day", "By assistant", "By model", "By person", "Assistant 1", "<svg"):
            assert words in text
        assert "style=" not in text
        link = next(part for part in text.split('"') if "usagerecord/?" in part and "at__gte" in part)
        listed = page.client.get(link.replace("&amp;", "&"))
        assert listed.context["cl"].result_count == 600

    def test_without_filters_it_is_the_last_month(self, page):
        made = [make_record(timezone.now()), make_record(timezone.now() - timedelta(days=40))]
        rollups.add(made)
        response = page()
        assert response.context["usage"].total.answers == 1
        assert page(start="", end="").context["usage"].total.answers == 1

    def test_a_person_by_name(self, page, alice):
        rollups.add([make_record(timezone.now(), user_id=alice.pk), make_record(timezone.now(), user_id=77_777)])
        assert page(person="alice").context["usage"].total.answers == 1
        assert page(person="77777").context["usage"].people[0].name == "Deleted (77777)"

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ({"person": "nobody"}, "Nobody is called"),
            ({"start": "2026-03-02", "end": "2026-03-01"}, "before the first"),
            ({"start": "2020-03-02", "end": "2026-03-01"}, "choose fewer days"),
            ({"start": "yesterday"}, "valid date"),
            ({"outcome": "great"}, "not one of the available choices"),
        ],
    )
    def test_what_makes_no_sense_is_told(self, page, query, words):
        for name in ("usage", "usage_csv"):
            response = page(name, **query)
            assert response.status_code == 200
            assert words in response.content.decode()
            assert "usage" not in (response.context or {}) or response.context["usage"] is None

    def test_it_needs_a_permission(self, client):
        helper = User.objects.create_user("helper", password="x", is_staff=True)
        client.force_login(helper)
        for name in ("usage", "usage_csv"):
            assert client.get(reverse(f"admin:{name}")).status_code == 403
        helper.user_permissions.add(Permission.objects.get(codename="view_usagerecord"))
        client.force_login(User.objects.get(pk=helper.pk))
        assert client.get(reverse("admin:usage")).status_code == 200
        assert "Usage" in client.get(reverse("admin:index")).content.decode()
        assert client.post(reverse("admin:usage")).status_code == 405

    def test_queries_do_not_grow(self, page, stored):
        def count(**query) -> int:
            with CaptureQueriesContext(connection) as queries:
                page(**query)
            return len(queries)

        count()
        assert count(start="2025-01-01", end="2025-01-01") == count(start="2026-03-20", end="2026-04-09")


class TestFile:
    def test_it_works(self, page):
        now = timezone.now()
        made = [make_record(now, username="=cmd()", model="m"), make_record(now, outcome="failed", user_id=2)]
        UsageRecord.objects.bulk_create(made)
        rollups.add(made)
        response = page("usage_csv", outcome="completed")
        rows = list(csv.DictReader(io.StringIO(b"".join(response).decode("utf-8-sig"))))
        assert len(rows) == 1
        assert (rows[0]["username"], rows[0]["model"], rows[0]["output_tokens"]) == ("'=cmd()", "m", "20")
        assert rows[0]["cost"] == "0.001000"
        entry = AuditEntry.objects.get(action="usage.exported")
        assert (entry.actor, entry.detail["part"], entry.detail["outcome"]) == ("staff", "records", "completed")

    @pytest.mark.django_db(transaction=True)
    async def test_it_streams_from_an_asynchronous_server(self, staff):
        await UsageRecord.objects.abulk_create([make_record(timezone.now()) for _ in range(1300)])
        client = AsyncClient()
        await client.aforce_login(staff)
        response = await client.get(reverse("admin:usage_csv"))
        pieces = [piece async for piece in response]
        assert len(pieces) >= 4
        assert b"".join(pieces).count(b"\r\n") == 1301
