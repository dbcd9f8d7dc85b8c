"""Announcements: who sees which, until when, and how open pages hear of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat import banners, events
from chat.banners import Watch
from chat.models import Audience, Banner, BannerDismissal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}
DISMISS = "/banners/dismiss/"


def announce(text="Down on Friday", **values):
    return Banner.objects.create(text=text, **values)


def sees(client, path="/") -> bool:
    return "Down on Friday" in client.get(path).content.decode()


def test_it_works(alice_client):
    announce("Down on **Friday** <b>x</b> [why](https://example.org)", level="warn")
    page = alice_client.get("/").content.decode()
    assert "Down on <strong>Friday</strong> &lt;b&gt;x&lt;/b&gt;" in page
    assert 'href="https://example.org"' in page
    assert "banner-warn" in page
    assert "Down on" in alice_client.get("/settings/").content.decode()
    assert "Down on" in alice_client.get("/banners/").content.decode()


def test_no_query_where_there_is_none(alice_client, client):
    def count():
        with CaptureQueriesContext(connection) as queries:
            alice_client.get("/settings/")
        return [query["sql"] for query in queries]

    count()
    assert not [sql for sql in count() if "banner" in sql]
    announce(is_dismissible=False)
    count()
    assert not [sql for sql in count() if "banner" in sql]  # none of one's own to ask for


@pytest.mark.parametrize(
    ("starts", "ends", "is_shown"),
    [(None, None, True), (-1, 1, True), (1, None, False), (None, -1, False), (-1, None, True), (None, 1, True)],
)
def test_the_schedule(alice_client, starts, ends, is_shown):
    now = timezone.now()
    announce(
        starts_at=now + timedelta(hours=starts) if starts else None,
        ends_at=now + timedelta(hours=ends) if ends else None,
    )
    assert sees(alice_client) is is_shown


class TestAudience:
    @pytest.mark.parametrize("audience", Audience.values)
    def test_it_works(self, client, alice_client, charlie_client, staff, alice, audience):
        group = Group.objects.create(name="Research")
        alice.groups.add(group)
        announce(audience=audience).groups.add(group)
        seen = sees(client, "/accounts/login/"), sees(alice_client), sees(charlie_client)
        client.force_login(staff)
        expected = {
            Audience.PUBLIC: (True, True, True, True),
            Audience.EVERYBODY: (False, True, True, True),
            Audience.GROUPS: (False, True, False, False),
            Audience.STAFF: (False, False, False, True),
        }
        assert (*seen, sees(client)) == expected[audience]
        assert sees(client, "/admin/") is expected[audience][3]


class TestDismissing:
    def test_it_works(self, alice, alice_client, charlie_client):
        banner = announce()
        response = alice_client.post(DISMISS, {"banner": f"{banner.pk}-1", "next": "/settings/"})
        assert response["Location"] == "/settings/"
        assert not sees(alice_client)
        assert sees(charlie_client)
        assert BannerDismissal.objects.get().person == alice

    def test_another_version_is_seen_again(self, alice_client):
        banner = announce()
        alice_client.post(DISMISS, {"banner": f"{banner.pk}-1"}, **JSON)
        banner.version = 2
        banner.save()
        assert sees(alice_client)
        assert alice_client.post(DISMISS, {"banner": f"{banner.pk}-1"}, **JSON).status_code == 204  # of an old page
        assert sees(alice_client)
        alice_client.post(DISMISS, {"banner": f"{banner.pk}-2"}, **JSON)
        assert not sees(alice_client)

    def test_without_an_account_the_browser_remembers(self, client):
        banner = announce(audience=Audience.PUBLIC)
        client.post(DISMISS, {"banner": f"{banner.pk}-1"}, **JSON)
        assert client.cookies["banners"].value == f"{banner.pk}-1"
        assert not sees(client, "/accounts/login/")

    def test_some_stay(self, alice_client):
        banner = announce(is_dismissible=False)
        alice_client.post(DISMISS, {"banner": f"{banner.pk}-1"})
        assert sees(alice_client)
        assert "Dismiss this" not in alice_client.get("/").content.decode()

    @pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/"])
    def test_nobody_is_sent_elsewhere(self, alice_client, elsewhere):
        assert alice_client.post(DISMISS, {"banner": "1-1", "next": elsewhere})["Location"] == "/"

    @pytest.mark.parametrize("key", ["", "x", "9-9", "1", "1-1.2"])
    def test_nonsense(self, alice_client, key):
        assert alice_client.post(DISMISS, {"banner": key}).status_code == 302

    def test_it_rejects_get(self, alice_client):
        assert alice_client.get(DISMISS).status_code == 405


class TestOpenPages:
    def test_they_are_told(self, alice, monkeypatch):
        told: list = []
        monkeypatch.setattr(events, "tell_everybody", lambda *event: told.append(event))
        watch = Watch()
        assert not watch.look()
        banner = announce()
        assert watch.look()
        assert not watch.look()
        banner.delete()
        assert watch.look()
        assert told == [("banner.changed", {})] * 2

    def test_also_by_the_clock(self, monkeypatch):
        announce(starts_at=timezone.now() + timedelta(hours=1))
        watch = Watch()
        watch.look()
        later = timezone.now() + timedelta(hours=2)
        monkeypatch.setattr(timezone, "now", lambda: later)
        assert watch.look()

    def test_everybody_of_this_process(self, alice, monkeypatch):
        from chat.events import publishing

        delivered: list = []
        monkeypatch.setattr(publishing, "watched_channels", lambda: {"user-1", "user-2", "conversation-3"})
        monkeypatch.setattr(publishing, "deliver", delivered.append)
        events.tell_everybody("banner.changed", {})
        assert sorted(delivered) == [("user-1", "banner.changed", "{}"), ("user-2", "banner.changed", "{}")]


class TestAdmin:
    def form(self, **values):
        blank = {"starts_at_0": "", "starts_at_1": "", "ends_at_0": "", "ends_at_1": "", "is_dismissible": "on"}
        return {"text": "Down on Friday", "level": "info", "audience": "everybody", **blank, **values}

    def test_it_works(self, client, staff, alice_client):
        client.force_login(staff)
        response = client.post(reverse("admin:chat_banner_add"), self.form())
        assert response.status_code == 302, response.context["errors"]
        assert sees(alice_client)
        banner = Banner.objects.get()
        address = reverse("admin:chat_banner_change", args=[banner.pk])
        client.post(address, self.form(audience="public"))
        banner.refresh_from_db()
        assert banner.version == 1
        client.post(address, self.form(text="Down on Friday, too"))
        banner.refresh_from_db()
        assert banner.version == 2
        assert "shown now" in client.get(reverse("admin:chat_banner_changelist")).content.decode()

    def test_it_ends_after_it_begins(self, client, staff):
        client.force_login(staff)
        times = {"starts_at_0": "2030-01-02", "starts_at_1": "0:00", "ends_at_0": "2030-01-01", "ends_at_1": "0:00"}
        response = client.post(reverse("admin:chat_banner_add"), self.form(**times))
        assert "It ends before it begins." in response.content.decode()

    def test_the_preview(self, client, staff, alice_client):
        client.force_login(staff)
        page = client.post(reverse("admin:banner_preview"), self.form(text="So *it* looks", level="danger"))
        assert "So <em>it</em> looks" in page.content.decode()
        assert "banner-danger" in page.content.decode()
        assert not Banner.objects.exists()
        assert alice_client.post(reverse("admin:banner_preview"), self.form()).status_code == 302  # to the log-in page


def test_a_database_that_is_away_shows_none(monkeypatch, alice):
    def away():
        raise OperationalError

    monkeypatch.setattr(banners, "on_now", away)
    assert banners.shown_to(alice) == []
