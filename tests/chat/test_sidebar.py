"""The list of conversations: pages, days, views, and what is done to several rows at once."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from chat.conversations import publish_conversations
from chat.generation import cancel_generation
from chat.models import Conversation, Folder, Generation
from chat.organising import (
    MOST_FOLDERS,
    archive_conversations,
    delete_folder,
    move_conversations,
    pin_conversations,
)
from chat.refusals import FolderGoneError
from chat.sidebar import PAGE, Cursor, day_groups, in_words, listing

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}
CHANGE, LIST = "/conversations/change/", "/conversations/"


@pytest.fixture
def many(alice):
    """Make conversations of Alice's, an hour apart, the newest first."""

    def make(count, **values):
        now = timezone.now()
        return Conversation.objects.bulk_create(
            Conversation(owner=alice, title=f"{number}", updated_at=now - timedelta(hours=number), **values)
            for number in range(count)
        )

    return make


def pages(user, view=""):
    """Return the pages of a view, to its end."""
    found, after = [], ""
    while True:
        page = listing(user, view, after=after)
        found.append(page)
        if not page.next_url:
            return found
        after = page.next_url.rpartition("after=")[2]


def titles(page):
    return [row.title for row in page.rows]


class TestListing:
    def test_it_works(self, alice, conversation):
        now = conversation.updated_at
        for days in (1, 3, 10, 100):
            Conversation.objects.create(owner=alice, title=f"{days}", updated_at=now - timedelta(days=days))
        Conversation.objects.create(owner=alice, title="pinned", is_pinned=True, updated_at=now - timedelta(days=9))
        page = listing(alice)
        assert [(str(group.heading), [row.title for row in group.rows]) for group in page.groups] == [
            ("Pinned", ["pinned"]),
            ("Today", ["Hello there"]),
            ("Yesterday", ["1"]),
            ("Previous 7 days", ["3"]),
            ("Previous 30 days", ["10"]),
            ("Older", ["100"]),
        ]
        assert page.rows[1].is_running
        assert not page.next_url

    def test_pages_have_every_row_once(self, alice, many):
        many(3 * PAGE + 7)
        many(PAGE + 9, is_pinned=True)
        found = pages(alice)
        rows = [row for page in found for row in page.rows]
        assert [len(page.rows) for page in found] == [PAGE] * 4 + [16]
        assert len({row.pk for row in rows}) == len(rows) == Conversation.objects.count()
        assert rows == sorted(rows, key=lambda row: (row.is_pinned, row.updated_at, row.pk), reverse=True)

    def test_rows_of_the_same_moment_are_paged_too(self, alice, many):
        many(2 * PAGE + 1)
        Conversation.objects.update(updated_at=timezone.now())
        assert len({row.pk for page in pages(alice) for row in page.rows}) == 2 * PAGE + 1

    def test_a_row_that_moved_up_hides_none(self, alice, many):
        rows = many(PAGE + 5)
        first = listing(alice)
        Conversation.objects.filter(pk=rows[PAGE - 1].pk).update(updated_at=timezone.now())
        rest = listing(alice, after=first.next_url.rpartition("after=")[2])
        assert titles(rest) == [f"{number}" for number in range(PAGE, PAGE + 5)]

    @pytest.mark.parametrize("after", ["x", "1.2.3", "0.99999999999999999999999.0", "", "0.1." + "0" * 32 + ".1"])
    def test_a_cursor_that_is_none_begins_at_the_top(self, alice, conversation, after):
        assert titles(listing(alice, after=after)) == ["Hello there"]

    def test_a_cursor_keeps_its_microseconds(self):
        cursor = Cursor(is_pinned=False, at=datetime(2026, 11, 26, 1, 2, 3, 456789, tzinfo=UTC), pk=uuid.uuid4())
        assert Cursor.parse(str(cursor)) == cursor

    def test_views(self, alice, many):
        work = Folder.objects.create(owner=alice, name="Work")
        many(1, title_from="words")
        many(2, is_archived=True)
        many(3, folder=work)
        many(4, folder=work, is_archived=True)
        many(5, deleted_at=timezone.now())
        sizes = {view: len(listing(alice, view).rows) for view in ("", "archived", "deleted", f"folder-{work.pk}")}
        assert sizes == {"": 4, "archived": 6, "deleted": 5, f"folder-{work.pk}": 3}
        assert listing(alice, "folder-0") is None
        assert listing(alice, "else") is None

    def test_strangers_see_nothing(self, alice, charlie, many):
        work = Folder.objects.create(owner=alice, name="Work")
        many(3, folder=work)
        assert not listing(charlie).rows
        assert listing(charlie, f"folder-{work.pk}") is None

    @pytest.mark.parametrize("count", [1, 2 * PAGE])
    def test_queries_are_constant(self, alice, many, count, django_assert_num_queries):
        many(count, folder=Folder.objects.create(owner=alice, name="Work"))
        with django_assert_num_queries(2):
            page = listing(alice)
            assert page.rows[0].folder.name == "Work"

    @pytest.mark.parametrize("view", ["", "folder"])
    @pytest.mark.parametrize("is_deep", [False, True])
    def test_a_page_is_a_walk_along_an_index(self, alice, many, view, is_deep):
        from django.db import connection

        if connection.vendor != "sqlite":
            pytest.skip("the words are SQLite's")
        from chat.sidebar import _after, _rows, view_named

        work = Folder.objects.create(owner=alice, name="Work")
        many(5, folder=work)
        shown = view_named(f"folder-{work.pk}" if view else "", [work])
        cursor = Cursor(is_pinned=False, at=timezone.now(), pk=uuid.uuid4()) if is_deep else None
        plan = _after(_rows(alice, shown), shown, cursor)[:PAGE].explain()
        assert f"USING INDEX conversation_{'in_folder' if view else 'listed'}" in plan
        assert "USE TEMP B-TREE" not in plan

    def test_the_day_is_that_of_the_time_zone(self):
        for name in ("Asia/Seoul", "America/Los_Angeles"):
            today = next(group for group in day_groups(name) if group.key == "today")
            assert today.since == timezone.now().astimezone(ZoneInfo(name)).replace(
                hour=0, minute=0, second=0, microsecond=0
            )
        for name in ("No/Where", "../etc/passwd", "x\x00"):
            assert day_groups(name)[1].since == day_groups()[1].since

    @pytest.mark.parametrize(
        ("seconds", "words"), [(86_400, "1 day"), (172_800, "2 days"), (3_600, "1 hour"), (90, "1 minute")]
    )
    def test_time_in_words(self, seconds, words):
        assert in_words(seconds) == words


class TestPages:
    def test_the_chat_page_shows_the_first_page(self, alice_client, many):
        many(PAGE + 1)
        page = alice_client.get("/").content.decode()
        assert page.count('<li class="row" data-row=') == PAGE + 1  # one is the template of a row
        assert "More conversations" in page

    def test_more_rows_come_as_json(self, alice_client, alice, many):
        many(PAGE + 3)
        data = alice_client.get(listing(alice).next_url, **JSON).json()
        assert data["list"].count('<li class="row"') == 3
        assert "data-more-rows" not in data["list"]
        assert "All conversations" in data["views"]

    def test_without_a_script_it_is_a_page(self, alice_client, alice, many):
        many(PAGE + 3)
        page = alice_client.get(LIST).content.decode()
        assert "With the selected ones:" in page
        following = alice_client.get(listing(alice).next_url).content.decode()
        assert following.count('<li class="row"') == 3

    def test_a_view_that_is_not_there(self, alice_client):
        assert alice_client.get(f"{LIST}?view=folder-1").status_code == 404

    def test_the_browser_remembers_its_view(self, alice_client, many):
        many(1, is_archived=True)
        alice_client.cookies["list"] = "archived"
        assert len(alice_client.get("/").context["listing"].rows) == 1
        alice_client.cookies["list"] = "folder-77"  # deleted meanwhile
        assert not alice_client.get("/").context["listing"].rows


class TestChange:
    def change(self, client, action, *conversations, **data):
        ids = [conversation.pk for conversation in conversations]
        return client.post(CHANGE, {"action": action, "conversation": ids, **data}, **JSON)

    @pytest.mark.parametrize(
        ("action", "before", "after"),
        [
            ("pin", {}, {"is_pinned": True}),
            ("unpin", {"is_pinned": True}, {"is_pinned": False}),
            ("archive", {"is_pinned": True}, {"is_archived": True, "is_pinned": False}),
            ("unarchive", {"is_archived": True}, {"is_archived": False}),
        ],
    )
    def test_it_works(self, alice_client, many, published, action, before, after):
        rows = many(3, **before)
        response = self.change(alice_client, action, *rows[:2])
        assert sorted(response.json()["changed"]) == sorted(str(row.pk) for row in rows[:2])
        assert Conversation.objects.filter(**after).count() == 2
        assert Conversation.objects.filter(pk=rows[2].pk, **before).exists()
        told = [(event, data["pinned"], data["archived"]) for _, event, data in published]
        now = Conversation.objects.get(pk=rows[0].pk)
        assert told == [("conversation.updated", now.is_pinned, now.is_archived)] * 2

    def test_no_order_is_lost(self, alice_client, many):
        """Putting a conversation in order is no news of it: it keeps its place among the days."""
        rows = many(2)
        self.change(alice_client, "pin", rows[1])
        self.change(alice_client, "unpin", rows[1])
        assert titles(listing(rows[0].owner)) == ["0", "1"]

    def test_move(self, alice, alice_client, many):
        rows = many(3)
        work = Folder.objects.create(owner=alice, name="Work")
        self.change(alice_client, "move", *rows, folder=work.pk)
        assert work.conversations.count() == 3
        self.change(alice_client, "move", rows[0], folder="")
        assert work.conversations.count() == 2

    def test_move_to_a_new_folder(self, alice, alice_client, many, published):
        rows = many(2)
        for row in rows:
            assert self.change(alice_client, "move", row, new_folder="  Trips  2026 ").status_code == 200
        assert Folder.objects.get().name == "Trips 2026"
        assert Folder.objects.get().conversations.count() == 2
        assert [event for _, event, _ in published].count("conversation.folders") == 1

    def test_a_strangers_rows_and_folders_are_not_there(self, alice, charlie_client, many):
        rows = many(2)
        work = Folder.objects.create(owner=alice, name="Work")
        for action in ("pin", "archive", "delete", "move", "restore", "unpin", "unarchive"):
            assert self.change(charlie_client, action, *rows).status_code == 404
        assert self.change(charlie_client, "move", *rows, folder=work.pk).status_code == 422
        assert (
            Conversation.objects.filter(is_pinned=False, is_archived=False, deleted_at=None, folder=None).count() == 2
        )

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"action": "explode"},
            {"action": "pin"},
            {"action": "pin", "conversation": "x"},
            {"action": "move", "conversation": str(uuid.uuid4()), "new_folder": "x" * 51},
            {"action": "pin", "conversation": ",".join(str(uuid.uuid4()) for _ in range(1001))},
        ],
    )
    def test_it_refuses_bad_input(self, alice_client, conversation, data):
        assert alice_client.post(CHANGE, data, **JSON).status_code == 422
        page = alice_client.post(CHANGE, data)
        assert page.status_code == 422
        assert "Not done" in page.content.decode()

    def test_a_thousand_at_once(self, alice_client, many, django_assert_max_num_queries):
        rows = many(1000)
        with django_assert_max_num_queries(12):
            response = alice_client.post(
                CHANGE, {"action": "archive", "conversation": ",".join(str(row.pk) for row in rows)}, **JSON
            )
        assert len(response.json()["changed"]) == 1000
        assert Conversation.objects.filter(is_archived=True).count() == 1000

    def test_without_a_script(self, alice_client, many):
        rows = many(2)
        response = alice_client.post(CHANGE, {"action": "pin", "conversation": [row.pk for row in rows]})
        assert response["Location"] == LIST
        assert Conversation.objects.filter(is_pinned=True).count() == 2

    def test_a_folder_that_is_deleted_meanwhile(self, alice, many):
        work = Folder.objects.create(owner=alice, name="Work")
        rows = many(1)
        Folder.objects.all().delete()
        with pytest.raises(FolderGoneError):
            move_conversations(alice, [rows[0].pk], work)

    def test_verbs_leave_deleted_ones_alone(self, alice, many):
        row = many(1, deleted_at=timezone.now())[0]
        assert pin_conversations(alice, [row.pk], is_pinned=True) == []
        assert archive_conversations(alice, [row.pk], is_archived=True) == []
        assert move_conversations(alice, [row.pk], None) == []


class TestEvents:
    def test_a_row_is_told_whole(self, alice, ask, echo, published):
        conversation = ask(echo, "Hello").message.conversation
        folder = Folder.objects.create(owner=alice, name="Work", colour="blue")
        Conversation.objects.update(folder=folder, is_pinned=True)
        published.clear()
        publish_conversations([conversation.pk])
        channel, event, data = published[0]
        assert (channel, event) == (f"user-{alice.pk}", "conversation.updated")
        conversation.refresh_from_db()
        assert data == {
            "conversation": str(conversation.pk),
            "title": "Hello",
            "running": True,
            "pinned": True,
            "archived": False,
            "folder": folder.pk,
            "folder_name": "Work",
            "colour": "blue",
            "updated": conversation.updated_at,
        }

    def test_one_query_for_all(self, many, published, django_assert_num_queries):
        rows = many(30)
        with django_assert_num_queries(1):
            publish_conversations([row.pk for row in rows])
        assert len(published) == 30

    def test_an_answer_moves_the_row_up(self, alice, ask, echo, published):
        first = ask(echo, "first")
        ask(echo, "second")
        cancel_generation(Generation.objects.get(pk=first.pk))
        assert titles(listing(alice)) == ["second", "first"]  # an end is no news of its own
        told = [data["updated"] for _, event, data in published if event == "conversation.updated"]
        assert told[0] == told[-1]


class TestFolders:
    def test_it_works(self, alice, alice_client, published):
        assert "New folder" in alice_client.get("/folders/").content.decode()
        response = alice_client.post("/folders/", {"name": " Work ", "colour": "blue"}, **JSON)
        folder = Folder.objects.get()
        assert response.json() == {"id": folder.pk, "name": "Work", "colour": "blue"}
        assert (folder.owner, folder.name, folder.colour) == (alice, "Work", "blue")
        assert published[-1][1] == "conversation.folders"
        assert "Work" in alice_client.get("/").content.decode()

    def test_rename(self, alice, alice_client):
        folder = Folder.objects.create(owner=alice, name="Work", colour="red")
        assert alice_client.get(f"/folders/{folder.pk}/").status_code == 200
        assert alice_client.post(f"/folders/{folder.pk}/", {"name": "Play"})["Location"] == "/folders/"
        folder.refresh_from_db()
        assert (folder.name, folder.colour) == ("Play", "red")

    @pytest.mark.parametrize("data", [{"name": ""}, {"name": "x" * 51}, {"name": "Work"}, {"name": "a", "colour": "x"}])
    def test_it_refuses_bad_input(self, alice, alice_client, data):
        Folder.objects.create(owner=alice, name="Work")
        assert alice_client.post("/folders/", data, **JSON).status_code == 422
        assert alice_client.post("/folders/", data).status_code == 200
        assert Folder.objects.count() == 1

    def test_there_is_a_most(self, alice, alice_client, conversation):
        Folder.objects.bulk_create(Folder(owner=alice, name=f"{number}") for number in range(MOST_FOLDERS))
        refused = alice_client.post("/folders/", {"name": "One more"}, **JSON)
        assert "that is the most" in str(refused.json())
        data = {"action": "move", "conversation": conversation.pk, "new_folder": "One more"}
        assert alice_client.post(CHANGE, data, **JSON).status_code == 422
        assert alice_client.post(CHANGE, data | {"new_folder": "7"}, **JSON).status_code == 200

    def test_delete_keeps_what_is_in_it(self, alice, alice_client, many, published):
        folder = Folder.objects.create(owner=alice, name="Work")
        many(2, folder=folder)
        url = reverse("chat:folder_delete", args=[folder.pk])
        assert "2 conversations are in it" in alice_client.get(url).content.decode()
        assert alice_client.post(url)["Location"] == "/folders/"
        assert not Folder.objects.exists()
        assert len(listing(alice).rows) == 2
        assert published[-1][1:] == ("conversation.folders", {"moved": True})

    def test_delete_twice(self, alice, published):
        folder = Folder.objects.create(owner=alice, name="Work")
        same = Folder.objects.get()
        delete_folder(folder)
        delete_folder(same)
        assert len(published) == 1

    def test_two_people_may_use_one_name(self, alice, charlie_client):
        Folder.objects.create(owner=alice, name="Work")
        assert charlie_client.post("/folders/", {"name": "Work"}, **JSON).status_code == 200


class TestOptions:
    def test_the_page_has_all_that_the_menu_has(self, alice, alice_client, conversation):
        Folder.objects.create(owner=alice, name="Work")
        page = alice_client.get(reverse("chat:rename", args=[conversation.pk])).content.decode()
        for words in ("Pin", "Archive", "Work", "Download as Markdown", "Delete the conversation"):
            assert words in page
        Conversation.objects.update(is_archived=True)
        page = alice_client.get(reverse("chat:rename", args=[conversation.pk])).content.decode()
        assert "Take out of the archive" in page


@pytest.mark.parametrize("message", [True, False])
def test_checks(settings, message):
    from chat.checks import check_organising

    settings.CHAT_TITLE_BACKEND = "unknown" if message else "echo"
    settings.CHAT_UNDO_SECONDS = 5 if message else 86_400
    assert [found.id for found in check_organising(None)] == (["chat.E014", "chat.E015"] if message else [])
