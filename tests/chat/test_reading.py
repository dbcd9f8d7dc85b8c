"""Reading what others wrote: only after saying why, and its owner can see it."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat import audit
from chat.audit import Target
from chat.models import AuditEntry, Conversation, Generation, Status, User
from chat.people import oversight, reading

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

SECRET = "Hello there"
WHY = "You asked us to look at an error."


@pytest.fixture
def admin_client(staff) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def page_of(conversation) -> str:
    return reverse("admin:chat_conversation_change", args=[conversation.pk])


def reason_of(conversation) -> str:
    return reverse("admin:open_conversation", args=[conversation.pk])


def say_why(client: Client, conversation, reason: str = WHY, **more):
    return client.post(reason_of(conversation), {"reason": reason, **more})


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action="transcript.read"))


class TestReason:
    def test_it_works(self, admin_client, staff, alice, conversation):
        response = admin_client.get(page_of(conversation))
        assert response["Location"] == reason_of(conversation)
        asked = admin_client.get(reason_of(conversation)).content.decode()
        assert SECRET not in asked
        assert "alice" in asked
        assert entries() == []
        assert say_why(admin_client, conversation, ticket="T-1")["Location"] == page_of(conversation)
        assert admin_client.get(page_of(conversation)).content.decode().count(SECRET) >= 2
        (entry,) = entries()
        assert (entry.actor, entry.concerns_id, entry.target_id) == ("staff", alice.pk, str(conversation.pk))
        assert entry.detail == {"reason": WHY, "ticket": "T-1"}
        assert SECRET not in json.dumps(list(AuditEntry.objects.values()), default=str)

    @pytest.mark.parametrize("reason", ["", "        ", "short", "x" * 501])
    def test_it_wants_a_reason(self, admin_client, conversation, reason):
        response = say_why(admin_client, conversation, reason)
        assert response.status_code == 422
        assert "reason" in response.context["form"].errors
        assert admin_client.get(page_of(conversation)).status_code == 302
        assert entries() == []

    def test_it_opens_one_conversation_to_one_reader(self, admin_client, staff, conversation, ask, echo):
        other = ask(echo, "Another secret").message.conversation
        say_why(admin_client, conversation)
        assert reading.is_open(conversation, staff)
        assert not reading.is_open(other, staff)
        second = User.objects.create_superuser("second")
        assert not reading.is_open(conversation, second)

    def test_it_is_over_after_half_an_hour(self, admin_client, staff, conversation, monkeypatch):
        say_why(admin_client, conversation)
        now = timezone.now()
        monkeypatch.setattr(reading.timezone, "now", lambda: now + reading.OPEN_FOR - timezone.timedelta(seconds=5))
        assert reading.is_open(conversation, staff)
        monkeypatch.setattr(reading.timezone, "now", lambda: now + reading.OPEN_FOR + timezone.timedelta(seconds=5))
        assert not reading.is_open(conversation, staff)
        assert SECRET not in admin_client.get(page_of(conversation) + "?facts").content.decode()

    def test_who_loses_the_permission_reads_no_more(self, admin_client, staff, conversation):
        say_why(admin_client, conversation)
        User.objects.filter(pk=staff.pk).update(is_superuser=False)
        demoted = User.objects.get(pk=staff.pk)
        demoted.user_permissions.add(Permission.objects.get(codename="view_conversation"))
        assert SECRET not in admin_client.get(page_of(conversation)).content.decode()

    def test_it_needs_the_permission(self, client, conversation):
        helper = User.objects.create_user("helper", is_staff=True)
        helper.user_permissions.add(Permission.objects.get(codename="view_conversation"))
        client.force_login(helper)
        page = client.get(page_of(conversation))
        assert page.status_code == 200
        assert SECRET not in page.content.decode()
        assert "transcript" not in page.content.decode()
        assert say_why(client, conversation).status_code == 403
        assert entries() == []

    def test_the_permission_alone_is_not_enough(self, client, conversation):
        helper = User.objects.create_user("helper", is_staff=True)
        helper.user_permissions.add(Permission.objects.get(codename="view_others_conversations"))
        client.force_login(helper)
        assert say_why(client, conversation).status_code == 403

    @pytest.mark.parametrize("person", ["charlie", "alice"])
    def test_it_is_for_staff(self, client, request, conversation, person):
        client.force_login(request.getfixturevalue(person))
        assert say_why(client, conversation).status_code == 302
        assert entries() == []

    def test_ones_own_needs_no_reason(self, admin_client, conversation, staff):
        Conversation.objects.filter(pk=conversation.pk).update(owner=staff)
        assert SECRET in admin_client.get(page_of(conversation)).content.decode()
        assert entries() == []

    def test_what_its_owner_deleted_cannot_be_opened(self, admin_client, conversation):
        Conversation.objects.filter(pk=conversation.pk).update(deleted_at=timezone.now())
        assert say_why(admin_client, conversation).status_code == 404


class TestNothingLeaks:
    """Titles are the first words of what people wrote."""

    @pytest.mark.parametrize("name", ["index", "chat_conversation_changelist", "chat_generation_changelist"])
    def test_lists(self, admin_client, conversation, name):
        assert SECRET not in admin_client.get(reverse(f"admin:{name}")).content.decode()

    @pytest.mark.parametrize("name", ["conversation", "generation", "feedback", "user", "auditentry", "share"])
    def test_the_search_finds_nothing_of_it(self, admin_client, conversation, name):
        url = reverse(f"admin:chat_{name}_changelist")
        assert admin_client.get(url, {"q": "Hello"}).context["cl"].result_count == 0

    def test_single_pages(self, admin_client, conversation):
        pages = [
            page_of(conversation) + "?facts",
            reverse("admin:chat_conversation_delete", args=[conversation.pk]),
            reverse("admin:chat_conversation_history", args=[conversation.pk]),
            reverse("admin:chat_generation_change", args=[conversation.leaf_id]),
        ]
        for page in pages:
            response = admin_client.get(page)
            assert response.status_code == 200, page
            assert SECRET not in response.content.decode(), page

    def test_deleting_several(self, admin_client, conversation):
        form = {"action": "delete_selected", "_selected_action": [conversation.pk]}
        url = reverse("admin:chat_conversation_changelist")
        assert SECRET not in admin_client.post(url, form).content.decode()
        admin_client.post(url, {**form, "post": "yes"})
        assert not Conversation.objects.exists()
        assert SECRET not in admin_client.get(reverse("admin:index")).content.decode()

    @pytest.mark.parametrize(
        ("name", "lookup"),
        [
            ("conversation", "title__startswith"),
            ("conversation", "title"),
            ("conversation", "messages__content__contains"),
            ("generation", "message__content__contains"),
            ("generation", "message__conversation__title__contains"),
            ("feedback", "message__content__contains"),
            ("user", "conversations__title__contains"),
            ("share", "title__contains"),
            ("share", "token__startswith"),
            ("share", "conversation__title__contains"),
        ],
    )
    def test_the_address_does_not_filter_by_it(self, admin_client, conversation, name, lookup):
        """Whether something is found would tell what is in it, letter by letter."""
        url = reverse(f"admin:chat_{name}_changelist")
        assert admin_client.get(url, {lookup: "Hello"}).status_code in {302, 400}


class TestOwner:
    def looks(self, client: Client) -> str:
        return client.get(reverse("chat:looks")).content.decode()

    def test_it_works(self, admin_client, alice_client, charlie_client, conversation):
        home = "Somebody looked at your conversations"
        assert "Nobody did" in self.looks(alice_client)
        assert home not in alice_client.get("/").content.decode()
        say_why(admin_client, conversation, ticket="T-1")
        assert home in alice_client.get("/").content.decode()
        assert "new</span>" in alice_client.get(reverse("chat:preferences")).content.decode()
        page = self.looks(alice_client)
        for text in ("staff", WHY, "T-1", SECRET, "Read a conversation"):
            assert text in page, text
        # Read: the notice goes, the entry stays.
        assert home not in alice_client.get("/").content.decode()
        assert WHY in self.looks(alice_client)
        assert WHY not in self.looks(charlie_client)
        assert home not in charlie_client.get("/").content.decode()

    def test_cancelled_answers_are_listed(self, admin_client, alice_client, conversation):
        form = {"action": "cancel_selected", "_selected_action": [conversation.leaf_id]}
        admin_client.post(reverse("admin:chat_generation_changelist"), form)
        assert Generation.objects.get().status == Status.CANCELLED
        page = self.looks(alice_client)
        assert "Cancelled an answer" in page
        assert SECRET in page

    def test_every_kind_has_words(self, alice, staff, alice_client):
        target = Target(kind="user", id=str(alice.pk), owner_id=alice.pk)
        audit.append("person.exported", staff, target, reason="Asked by letter")
        audit.append("something.new", staff, target)
        audit.append("feedback.exported", None, target)
        page = self.looks(alice_client)
        for text in ("Exported your data", "Asked by letter", "something.new", "The site", "Exported answers"):
            assert text in page, text

    def test_what_one_does_oneself_is_no_news(self, alice, alice_client):
        audit.append("x.y", alice, Target(kind="user", id="1", owner_id=alice.pk))
        assert "Nobody did" in self.looks(alice_client)
        assert not User.objects.get(pk=alice.pk).has_new_looks

    def test_a_deleted_conversation_is_not_named(self, admin_client, alice_client, conversation):
        say_why(admin_client, conversation)
        Conversation.objects.filter(pk=conversation.pk).update(deleted_at=timezone.now())
        page = self.looks(alice_client)
        assert SECRET not in page
        assert "no longer there" in page

    def test_queries_do_not_grow(self, alice, alice_client, staff, ask, echo):
        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                self.looks(alice_client)
            return len(queries)

        def look(number: int) -> None:
            conversation = ask(echo, f"{number}").message.conversation
            reading.open_transcript(conversation, staff, reason="Because of it")
            answer = Target(kind="generation", id=str(conversation.leaf_id), owner_id=alice.pk)
            audit.append("generation.cancelled", staff, answer)

        look(0)
        few = (count(), count())[1]
        for number in range(9):
            look(number)
        assert count() == few
        assert len(oversight.looks(oversight.entries_about(alice), alice)) == 20
