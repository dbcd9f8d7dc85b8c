"""Long conversations by pages, in both directions and on every branch."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client
from django.urls import reverse

from bench.page.fill import fill
from chat import history
from chat.models import Conversation, Message
from chat.templatetags.chat_page import EAGER_MODULES
from chatsite.settings import NPM_MODULES

JSON = {"HTTP_ACCEPT": "application/json"}
JAVASCRIPT_LIMIT = 120_000
"""Bytes after gzip that the first load of a chat page, and what it fetches when idle, may have."""


@pytest.fixture
def long(alice, echo, settings) -> Conversation:
    settings.CHAT_PAGE_MESSAGES = 10
    return fill(alice, 30, 6_000)


@pytest.fixture
def line(long) -> list[int]:
    return list(long.messages.values_list("pk", flat=True))


@pytest.fixture
def side(long, line) -> list[int]:
    """Another branch of six messages below the 12th of the shown one."""
    parent = line[11]
    added = []
    for number in range(6):
        role = ("user", "assistant")[number % 2]
        parent = Message.objects.create(conversation=long, parent_id=parent, role=role, content=f"side {number}").pk
        added.append(parent)
    return added


def shown(response) -> list[int]:
    return [int(number) for number in re.findall(r'<article[^>]* data-message="(\d+)"', content(response))]


def content(response) -> str:
    return response.json()["html"] if "json" in response["Content-Type"] else response.content.decode()


class TestPages:
    def test_it_works(self, alice_client, long, line):
        """From the newest page up to the first message by the links, and down again."""
        page = alice_client.get(long.get_absolute_url())
        assert (shown(page), page.context["is_live"]) == (line[20:], True)
        assert page.context["newer_url"] is None
        middle = alice_client.get(page.context["earlier_url"])
        assert (shown(middle), middle.context["is_live"]) == (line[10:20], False)
        first = alice_client.get(middle.context["earlier_url"])
        assert (shown(first), first.context["earlier_url"]) == (line[:10], None)
        middle = alice_client.get(first.context["newer_url"])
        assert shown(middle) == line[10:20]
        newest = alice_client.get(middle.context["newer_url"])
        assert (shown(newest), newest.context["is_live"], newest.context["newer_url"]) == (line[20:], True, None)
        assert "data-earlier" in content(middle)
        assert "data-earlier" not in content(newest)

    def test_the_same_as_json(self, alice_client, long, line):
        response = alice_client.get(long.get_absolute_url(), {"before": line[20]}, **JSON)
        assert shown(response) == line[10:20]
        told = {name: value for name, value in response.json().items() if name != "html"}
        assert told == {"has_earlier": True, "has_newer": True, "is_live": False}
        assert "no-store" in response["Cache-Control"]
        last = alice_client.get(long.get_absolute_url(), {"after": line[19]}, **JSON)
        assert (shown(last), last.json()["is_live"], last.json()["has_newer"]) == (line[20:], True, False)

    def test_a_browser_keeps_both_apart(self, alice_client, long):
        for options in ({}, JSON):
            assert "Accept" in alice_client.get(long.get_absolute_url(), **options)["Vary"]

    def test_around_a_message(self, alice_client, long, line):
        page = alice_client.get(long.get_absolute_url(), {"message": line[14]})
        assert shown(page) == line[10:20]
        # At the ends there are as many, on the other side.
        assert shown(alice_client.get(long.get_absolute_url(), {"message": line[0]})) == line[:6]
        newest = alice_client.get(long.get_absolute_url(), {"message": line[-1]})
        assert (shown(newest), newest.context["is_live"]) == (line[20:], True)

    def test_the_whole(self, alice_client, long, line):
        page = alice_client.get(long.get_absolute_url() + "?all")
        assert (shown(page), page.context["earlier_url"], page.context["is_live"]) == (line, None, True)

    def test_another_branch_is_followed_to_its_own_end(self, alice_client, long, line, side):
        page = alice_client.get(long.get_absolute_url(), {"message": side[1]})
        assert shown(page) == [*line[8:12], *side]
        assert (page.context["is_live"], page.context["newer_url"]) == (False, None)
        assert reverse("chat:conversation", args=[long.pk]) in re.findall(r'href="(\S+)" data-newest', content(page))
        # From where both begin, it goes on along the one that is shown.
        assert shown(alice_client.get(long.get_absolute_url(), {"after": line[11]})) == line[12:22]

    @pytest.mark.parametrize("word", ["before", "after", "message"])
    def test_a_place_elsewhere_is_absent(self, alice_client, charlie_client, long, line, word, ask, echo):
        other = ask(echo, "elsewhere").message
        for place in (other.pk, 10**9, 10**30):
            assert alice_client.get(long.get_absolute_url(), {word: place}).status_code == 404
        for place in ("", "x", "-1"):
            assert alice_client.get(long.get_absolute_url(), {word: place}).status_code == 200
        assert charlie_client.get(long.get_absolute_url(), {word: line[4]}, **JSON).status_code == 404

    def test_it_rejects_strangers(self, long):
        assert Client().get(long.get_absolute_url(), **JSON).status_code == 302


class TestQueries:
    @pytest.mark.parametrize("messages", [60, 600])
    def test_they_do_not_grow(self, alice, alice_client, echo, messages, django_assert_max_num_queries):
        long = fill(alice, messages, 100 * messages)
        middle = long.messages.all()[messages // 2].pk
        for query in ("", f"?before={middle}", f"?after={middle}", f"?message={middle}"):
            with django_assert_max_num_queries(15):
                alice_client.get(long.get_absolute_url() + query)
        with django_assert_max_num_queries(16):
            alice_client.get(long.get_absolute_url() + "?all")

    def test_a_page_reads_only_its_own_texts(self, long, line, django_assert_num_queries):
        with django_assert_num_queries(3) as queries:  # ids, drafts, messages
            history.newest(long, 10)
        texts = [query["sql"] for query in queries if '"content"' in query["sql"]]
        assert len(texts) == 1
        assert "IN (" in texts[0]

    def test_nothing_is_scanned_or_sorted(self, long, line, django_assert_max_num_queries):
        if connection.vendor != "sqlite":
            pytest.skip("the words of this plan are SQLite's")
        message = long.messages.get(pk=line[14])
        with django_assert_max_num_queries(20) as queries:
            history.newest(long, 10)
            for find in (history.before, history.after, history.around):
                find(long, message, 10)
        with connection.cursor() as cursor:
            plans = [
                step[-1]
                for query in queries.captured_queries
                if "chat_draftpiece" not in query["sql"]  # few rows, of unfinished answers
                for step in cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}").fetchall()
            ]
        assert len(plans) >= 8
        assert not [step for step in plans if "SCAN" in step or "TEMP B-TREE" in step]

    def test_many_other_branches_cost_few_queries(self, long, line, django_assert_max_num_queries):
        Message.objects.bulk_create(
            Message(conversation=long, parent_id=line[0], role="user", content="again") for _ in range(2000)
        )
        newest = Message.objects.create(conversation=long, parent_id=line[-1], role="user", content="after all")
        with django_assert_max_num_queries(10):
            path = history.path(long, newest.pk, 31)
        assert [step.pk for step in path] == [*line, newest.pk]


def test_the_javascript_of_a_page_is_light():
    """All that a chat page loads at first, and the renderer that it fetches when idle, with what they import."""
    wanted = [f"chat/{name}" for name in (*EAGER_MODULES, "markdown")]
    sizes: dict[str, int] = {}
    while wanted:
        name = wanted.pop()
        if name in sizes:
            continue
        file = finders.find(NPM_MODULES.get(name, f"{name}.js"))
        assert file, f"{name} is missing: `python -m chatsite.npm` brings the browser's packages."
        source = Path(file).read_bytes()
        sizes[name] = len(gzip.compress(source))
        # What is imported by a call comes later, and only where it is needed.
        if name.startswith("chat/"):
            wanted += re.findall(r'^import [^(]*?"([^"]+)";', source.decode(), re.MULTILINE)
    assert {"chat/page", "markdown-it"} <= set(sizes)
    assert sum(sizes.values()) <= JAVASCRIPT_LIMIT, sizes
