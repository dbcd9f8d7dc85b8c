"""Feedback as administrators work through it."""

from __future__ import annotations

import asyncio
import json

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat import reviewing
from chat.feedback import Opinion, give_feedback
from chat.generation import start_generation
from chat.models import AuditEntry, Conversation, Feedback, Message, User
from chat.reviewing import Total, Wanted
from chat.writing import run_generation
from tests.chat.test_generation import question
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

LIST, EXPORT = "admin:chat_feedback_changelist", "admin:export_feedback"
QUESTION = "Hello there"
WHY = "To compare two models"
JSON = {"headers": {"accept": "application/json"}}


def answered() -> Message:
    claimed = claim_one("this-worker")
    asyncio.run(run_generation(claimed))
    return Message.objects.select_related("conversation__owner", "generation").get(pk=claimed.pk)


@pytest.fixture
def answer(conversation) -> Message:
    return answered()


@pytest.fixture
def admin_client(staff) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def page_of(feedback: Feedback) -> str:
    return reverse("admin:chat_feedback_change", args=[feedback.pk])


def export(client: Client, query: str = "", **form) -> list[dict]:
    response = client.post(reverse(EXPORT) + query, form)
    assert response.status_code == 200, response.context["form"].errors
    assert response["Content-Disposition"].endswith('.jsonl"')
    return [json.loads(line) for line in b"".join(response.streaming_content).decode().splitlines()]


class TestConsent:
    def test_it_is_asked_and_kept(self, alice_client, answer):
        url = reverse("chat:feedback", args=[answer.conversation_id, answer.pk])
        form = alice_client.post(url, {"value": "1"}, **JSON).json()["html"]
        assert "Administrators may read this conversation up to this answer" in form
        assert not Feedback.objects.get().shares_exchange  # a thumb alone lets nobody read
        alice_client.post(url, {"value": "1", "comment": "", "shares_exchange": "on"})
        assert Feedback.objects.get().shares_exchange
        alice_client.post(url, {"value": "-1"})
        assert Feedback.objects.get().shares_exchange
        assert "checked" in alice_client.get(url, **JSON).json()["html"].split("shares_exchange", 1)[1][:120]
        alice_client.post(url, {"value": "-1", "comment": ""})
        assert not Feedback.objects.get().shares_exchange


class TestPages:
    def test_the_exchange_is_shown_to_who_was_let(self, admin_client, alice, answer):
        feedback = give_feedback(answer, alice, Opinion(value=-1, comment="No", shares_exchange=False))
        assert QUESTION not in admin_client.get(page_of(feedback)).content.decode()
        give_feedback(answer, alice, Opinion(value=-1, shares_exchange=True))
        page = admin_client.get(page_of(feedback)).content.decode()
        assert page.count(QUESTION) >= 2
        assert not AuditEntry.objects.filter(action="transcript.read").exists()
        assert QUESTION not in admin_client.get(reverse(LIST)).content.decode()

    def test_or_who_said_why(self, admin_client, alice, staff, answer):
        feedback = give_feedback(answer, alice, Opinion(value=-1))
        admin_client.post(reverse("admin:open_conversation", args=[answer.conversation_id]), {"reason": WHY})
        assert QUESTION in admin_client.get(page_of(feedback)).content.decode()

    def test_it_is_marked_as_reviewed_with_a_note(self, admin_client, alice, answer):
        feedback = give_feedback(answer, alice, Opinion(value=-1, comment="No"))
        assert admin_client.post(page_of(feedback), {"review_note": "Prompt mended"}).status_code == 302
        stored = Feedback.objects.get()
        assert (stored.review_note, stored.reviewed_by, stored.comment) == ("Prompt mended", "staff", "No")
        page = admin_client.get(reverse(LIST)).content.decode()
        assert "Prompt mended" in page
        assert [one.pk for one in admin_client.get(reverse(LIST), {"reviewed": "yes"}).context["cl"].queryset]
        assert not admin_client.get(reverse(LIST), {"reviewed": "no"}).context["cl"].queryset

    def test_several_at_once(self, admin_client, alice, answer):
        feedback = give_feedback(answer, alice, Opinion(value=1))
        admin_client.post(reverse(LIST), {"action": "mark_reviewed", "_selected_action": [feedback.pk]})
        assert Feedback.objects.get().reviewed_by == "staff"

    def test_marking_needs_a_permission(self, client, alice, answer):
        feedback = give_feedback(answer, alice, Opinion(value=1))
        helper = User.objects.create_user("helper", is_staff=True)
        helper.user_permissions.add(Permission.objects.get(codename="view_feedback"))
        client.force_login(helper)
        assert client.get(page_of(feedback)).status_code == 200
        assert client.post(page_of(feedback), {"review_note": "x"}).status_code == 403
        client.post(reverse(LIST), {"action": "mark_reviewed", "_selected_action": [feedback.pk]})
        assert Feedback.objects.get().reviewed_at is None

    def test_filters_and_totals(self, admin_client, alice, answer, ask, scripted):
        give_feedback(answer, alice, Opinion(value=1, reasons=["clear"]))
        ask(scripted, "markdown")
        give_feedback(answered(), alice, Opinion(value=-1, reasons=["wrong", "too_long"]))

        def totals(**query) -> list[Total]:
            return admin_client.get(reverse(LIST), query).context["totals"]

        assert sorted(totals(), key=lambda one: one.assistant) == [Total("Echo", 1, 0), Total("Scripted", 0, 1)]
        assert totals(reason="wrong") == totals(reason="too_long") == totals(value__exact="-1")
        assert totals(reason="clear") == [Total("Echo", 1, 0)]
        assert totals(reason="too_short") == []
        assert Total("x", 2, 1).percent_good == 67
        page = admin_client.get(reverse(LIST)).content.decode()
        assert "100 %" in page

    def test_what_its_owner_deleted_is_not_there(self, admin_client, alice, answer):
        feedback = give_feedback(answer, alice, Opinion(value=1, shares_exchange=True))
        Conversation.objects.update(deleted_at=timezone.now())
        assert not admin_client.get(reverse(LIST)).context["cl"].queryset
        assert admin_client.get(page_of(feedback)).status_code == 302
        assert export(admin_client) == []


class TestExport:
    def test_it_works(self, admin_client, staff, alice, answer, echo):
        echo.system_prompt, echo.temperature = "Be brief.", 0.5
        echo.save()
        start_generation(Conversation.objects.get(), question(echo, "And now?"))
        second = answered()
        given = give_feedback(second, alice, Opinion(value=-1, reasons=["wrong"], comment="ü", shares_exchange=True))
        (row,) = export(admin_client)
        assert row == {
            "id": given.pk,
            "created": row["created"],
            "assistant": "Echo",
            "model": second.generation.model,
            "parameters": {"temperature": 0.5},
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": QUESTION},
                {"role": "assistant", "content": answer.content},
                {"role": "user", "content": "And now?"},
                {"role": "assistant", "content": second.content},
            ],
            "rating": "bad",
            "reasons": ["wrong"],
            "comment": "ü",
        }
        entry = AuditEntry.objects.latest("number")
        assert (entry.actor, entry.action, entry.detail) == ("staff", "feedback.exported", {"rows": 1, "names": False})

    def test_what_was_not_shared_is_left_out_unless_somebody_says_why(self, admin_client, alice, alice_client, answer):
        give_feedback(answer, alice, Opinion(value=1, comment="Fine"))
        (row,) = export(admin_client, with_names="on")
        assert (row["messages"], row["comment"], row["person"]) == (None, "Fine", "alice")
        assert not User.objects.get(pk=alice.pk).has_new_looks
        response = admin_client.post(reverse(EXPORT), {"everything": "on"})
        assert response.status_code == 422
        (row,) = export(admin_client, everything="on", reason=WHY)
        assert row["messages"][0]["content"] == QUESTION
        assert "person" not in row
        looks = alice_client.get(reverse("chat:looks")).content.decode()
        assert WHY in looks
        assert "Exported answers that you rated" in looks
        assert QUESTION not in str(list(AuditEntry.objects.values()))

    def test_it_needs_the_permissions(self, client, alice, answer):
        give_feedback(answer, alice, Opinion(value=1))
        helper = User.objects.create_user("helper", is_staff=True)
        client.force_login(helper)
        assert client.post(reverse(EXPORT)).status_code == 403
        helper.user_permissions.add(Permission.objects.get(codename="view_feedback"))
        (row,) = export(client, everything="on", reason=WHY)
        assert row["messages"] is None

    def test_it_takes_what_the_filters_choose(self, admin_client, alice, answer, ask, echo):
        give_feedback(answer, alice, Opinion(value=1))
        ask(echo, "Another")
        bad = give_feedback(answered(), alice, Opinion(value=-1))
        assert [row["id"] for row in export(admin_client, "?value__exact=-1")] == [bad.pk]
        assert len(export(admin_client)) == 2
        assert "1 rating" in admin_client.get(reverse(EXPORT), {"value__exact": "-1"}).content.decode()

    def test_other_branches_stay_out(self, admin_client, alice, answer, echo):
        from chat.generation import regenerate

        regenerate(answer, echo)
        other = answered()
        give_feedback(answer, alice, Opinion(value=1, shares_exchange=True))
        (row,) = export(admin_client)
        assert [said["content"] for said in row["messages"]] == [QUESTION, answer.content]
        assert other.pk > answer.pk

    def test_queries_are_one_for_many_rows(self, staff, alice, answer, ask, echo):
        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                lines = list(reviewing.start_export(reviewing.reviewable(), staff, Wanted(reason=WHY)))
            assert len(lines) == Feedback.objects.count()
            return len(queries)

        give_feedback(answer, alice, Opinion(value=1))
        count()  # the first entry makes the log's head, and is news for Alice
        few = count()
        for number in range(9):
            ask(echo, f"{number}")
            give_feedback(answered(), alice, Opinion(value=1))
        assert count() == few

    def test_it_is_streamed_by_the_asynchronous_site(self, staff, alice, answer):
        give_feedback(answer, alice, Opinion(value=1, shares_exchange=True))

        async def fetch() -> bytes:
            client = AsyncClient()
            await client.aforce_login(staff)
            response = await client.post(reverse(EXPORT))
            return b"".join([part async for part in response.streaming_content])

        assert json.loads(asyncio.run(fetch()))["messages"][0]["content"] == QUESTION
