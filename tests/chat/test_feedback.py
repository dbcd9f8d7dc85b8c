"""What people think of an answer."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from chat.feedback import Opinion, give_feedback, take_back
from chat.models import Conversation, Feedback, Message, User
from chat.people import reading
from chat.refusals import MessageGoneError
from chat.retention.pruning import delete_message
from chat.writing import run_generation
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}


@pytest.fixture
def answer(conversation) -> Message:
    asyncio.run(run_generation(claim_one("this-worker")))
    return Message.objects.select_related("conversation__owner", "generation").get(role="assistant")


def url(message) -> str:
    return reverse("chat:feedback", args=[message.conversation_id, message.pk])


def stored() -> list[tuple[int, list[str], str]]:
    return list(Feedback.objects.values_list("value", "reasons", "comment"))


class TestVerb:
    def test_it_works(self, answer, alice):
        give_feedback(answer, alice, Opinion(value=-1, reasons=["wrong"], comment="It is not."))
        assert stored() == [(-1, ["wrong"], "It is not.")]
        feedback = Feedback.objects.get()
        assert (feedback.message, feedback.person) == (answer, alice)
        assert str(feedback) == "bad: It is not."

    def test_it_is_changed_in_place(self, answer, alice):
        """Another thumb keeps the words, and of the reasons those that suit it."""
        give_feedback(answer, alice, Opinion(value=-1, reasons=["wrong"], comment="Words"))
        first = Feedback.objects.get()
        give_feedback(answer, alice, Opinion(value=1))
        assert stored() == [(1, [], "Words")]
        changed = Feedback.objects.get()
        assert (changed.pk, changed.created_at) == (first.pk, first.created_at)
        assert changed.updated_at > first.updated_at

    def test_it_is_taken_back(self, answer, alice):
        give_feedback(answer, alice, Opinion(value=1))
        take_back(answer, alice)
        take_back(answer, alice)
        assert stored() == []

    def test_it_goes_with_the_answer(self, answer, alice):
        give_feedback(answer, alice, Opinion(value=1))
        delete_message(answer)
        assert stored() == []
        with pytest.raises(MessageGoneError):
            give_feedback(answer, alice, Opinion(value=1))

    def test_two_thumbs_at_once_are_one(self, answer, alice):
        def rate(value: int) -> None:
            give_feedback(answer, alice, Opinion(value=value))
            connections.close_all()

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(rate, [1, -1] * 3))
        assert Feedback.objects.count() == 1


class TestView:
    def test_it_works(self, alice_client, answer):
        response = alice_client.post(url(answer), {"value": "-1"}, **JSON)
        assert response.status_code == 200
        assert stored() == [(-1, [], "")]
        assert "What was wrong?" in response.json()["html"]
        assert 'value="off_topic"' in response.json()["html"]
        page = alice_client.get(answer.conversation.get_absolute_url()).content.decode()
        assert page.count('aria-pressed="true"') == 1
        assert 'name="value" value="-1" aria-pressed="true"' in page

    def test_what_is_said_below_the_thumb(self, alice_client, answer):
        alice_client.post(url(answer), {"value": "1"})
        form = {"value": "1", "reasons": ["clear", "complete"], "comment": " Well said \r\n"}
        assert alice_client.post(url(answer), form, **JSON).status_code == 200
        assert stored() == [(1, ["clear", "complete"], "Well said")]
        part = alice_client.get(url(answer), **JSON).json()["html"]
        assert "Well said" in part
        assert part.count("checked") == 2
        # Words are taken away by sending none.
        alice_client.post(url(answer), {"value": "1", "comment": ""})
        assert stored() == [(1, [], "")]

    def test_a_thumb_does_not_erase_the_comment(self, alice_client, answer, alice):
        give_feedback(answer, alice, Opinion(value=1, comment="Words"))
        alice_client.post(url(answer), {"value": "1"}, **JSON)
        assert stored() == [(1, [], "Words")]

    def test_it_works_without_javascript(self, alice_client, answer):
        page = alice_client.get(url(answer)).content.decode()
        assert "Good answer" in page
        assert "Bad answer" in page
        response = alice_client.post(url(answer), {"value": "-1"})
        assert response["Location"] == url(answer)
        page = alice_client.get(url(answer)).content.decode()
        assert 'name="comment"' in page
        back = f"{answer.conversation.get_absolute_url()}#message-{answer.pk}"
        assert alice_client.post(url(answer), {"value": "-1", "comment": "No"})["Location"] == back
        assert alice_client.post(url(answer), {"value": "-1", "take_back": "1"})["Location"] == back
        assert stored() == []

    @pytest.mark.parametrize(
        ("form", "field"),
        [
            ({"value": "2"}, "value"),
            ({"value": ""}, "value"),
            ({"value": "1", "comment": "", "reasons": ["wrong"]}, "reasons"),
            ({"value": "-1", "comment": "x" * 2001}, "comment"),
            ({"value": "1", "comment": "a\x00b"}, "comment"),
        ],
    )
    def test_wrong_forms_are_refused_with_words(self, alice_client, answer, form, field):
        refused = alice_client.post(url(answer), form, **JSON)
        assert refused.status_code == 422
        assert refused.json()["errors"][field]
        assert stored() == []
        page = alice_client.post(url(answer), form)
        assert page.status_code == 422

    def test_what_was_typed_comes_back(self, alice_client, answer):
        refused = alice_client.post(url(answer), {"value": "-1", "comment": "y" * 2001})
        assert "y" * 2001 in refused.content.decode()

    def test_it_checks_ownership(self, charlie_client, answer):
        assert charlie_client.get(url(answer)).status_code == 404
        assert charlie_client.post(url(answer), {"value": "1"}).status_code == 404
        assert stored() == []

    def test_a_question_has_none(self, alice_client, answer):
        assert alice_client.post(url(answer.parent), {"value": "1"}).status_code == 404

    def test_queries_of_the_page_do_not_grow(self, alice_client, answer, alice, echo, monkeypatch):
        from chat.generation import start_generation
        from tests.chat.test_generation import question

        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                alice_client.get(answer.conversation.get_absolute_url())
            return len(queries)

        monkeypatch.setattr("chat.operation.backend_health.FRESH_FOR", 600)
        give_feedback(answer, alice, Opinion(value=1))
        count()  # what is looked up once in a process
        few = count()
        for number in range(5):
            start_generation(Conversation.objects.select_related("owner").get(), question(echo, f"{number}"))
            asyncio.run(run_generation(claim_one("this-worker")))
            give_feedback(Message.objects.last(), alice, Opinion(value=-1))
        assert count() == few


class TestAdmin:
    def test_it_works(self, client, staff, answer, alice):
        client.force_login(staff)
        give_feedback(answer, alice, Opinion(value=-1, reasons=["wrong"], comment="It is not."))
        page = client.get(reverse("admin:chat_feedback_changelist")).content.decode()
        for text in ("It is not.", "Not correct", "alice", "Echo"):
            assert text in page
        found = client.get(reverse("admin:chat_feedback_changelist"), {"q": "nothing like it", "value__exact": "-1"})
        assert "It is not." not in found.content.decode()
        one = reverse("admin:chat_feedback_change", args=[Feedback.objects.get().pk])
        assert 'name="comment"' not in client.get(one).content.decode()
        reading.open_transcript(answer.conversation, staff, reason="Because of a test")
        transcript = client.get(reverse("admin:chat_conversation_change", args=[answer.conversation_id]))
        assert "bad: It is not." in transcript.content.decode()

    def test_it_is_read_only(self, client, staff, answer, alice):
        client.force_login(staff)
        feedback = give_feedback(answer, alice, Opinion(value=1))
        assert client.get(reverse("admin:chat_feedback_add")).status_code == 403
        assert (
            client.post(reverse("admin:chat_feedback_delete", args=[feedback.pk]), {"post": "yes"}).status_code == 403
        )
        assert stored() == [(1, [], "")]

    def test_who_may_delete_conversations_may_delete_rated_ones(self, client, answer, alice):
        give_feedback(answer, alice, Opinion(value=1))
        helper = User.objects.create_user("helper", password="x", is_staff=True)
        names = ["view_conversation", "delete_conversation"]
        helper.user_permissions.add(*Permission.objects.filter(codename__in=names))
        client.force_login(helper)
        url = reverse("admin:chat_conversation_delete", args=[answer.conversation_id])
        assert client.post(url, {"post": "yes"}).status_code == 302
        assert stored() == []

    def test_queries_do_not_grow_with_the_rows(self, client, staff, answer, alice, ask, echo):
        client.force_login(staff)

        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                client.get(reverse("admin:chat_feedback_changelist"))
            return len(queries)

        give_feedback(answer, alice, Opinion(value=1))
        count()  # Django looks up content types once
        few = count()
        for number in range(5):
            message = ask(echo, f"{number}").message
            give_feedback(message, alice, Opinion(value=1))
        assert count() == few
