"""A message and all that follows it, deleted."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from chat import history
from chat.conversations import show_branch
from chat.generation import Question, cancel_generation, edit_question, regenerate, start_generation
from chat.models import Conversation, DraftPiece, Feedback, Generation, Message
from chat.refusals import ConversationBusyError, MessageGoneError
from chat.retention.pruning import delete_message
from chat.writing import run_generation
from tests.fakes import claim_one
from tests.protocol.reader import Reader

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}


def finish() -> None:
    asyncio.run(run_generation(claim_one("this-worker")))


def fresh(message) -> Message:
    return Message.objects.select_related("conversation__owner", "generation").get(pk=message.pk)


def question(content, assistant) -> Question:
    return Question(content=content, assistant=assistant, key=uuid.uuid4())


def url(message) -> str:
    return reverse("chat:delete_message", args=[message.conversation_id, message.pk])


def shown(conversation) -> list[str]:
    conversation.refresh_from_db()
    return [message.content for message in history.branch(conversation, conversation.leaf_id, 100)]


@pytest.fixture
def asked(conversation, echo) -> Conversation:
    """Two questions with their answers; the first answer has two versions, of which the newer one was gone on with."""
    finish()
    first = Message.objects.filter(role="assistant").get()
    regenerate(fresh(first), echo)
    finish()
    conversation = Conversation.objects.select_related("owner").get()
    start_generation(conversation, question("And then?", echo))
    finish()
    return Conversation.objects.select_related("owner").get()


class TestVerb:
    def test_it_works(self, asked, published):
        _, old, new, *_ = asked.messages.all()
        assert delete_message(fresh(new)) == 3
        assert shown(asked) == ["Hello there", "Hello there"]
        assert asked.leaf_id == old.pk
        assert asked.messages.count() == 2
        assert not Generation.objects.exclude(pk=old.pk).exists()
        told = [(event, data) for _, event, data in published if event == "message.deleted"]
        assert told == [("message.deleted", {"message": new.pk, "parent": old.parent_id})]

    def test_a_version_that_is_not_shown_goes_alone(self, asked):
        _, old, new, *_ = asked.messages.all()
        leaf = asked.leaf_id
        assert delete_message(fresh(old)) == 1
        asked.refresh_from_db()
        assert asked.leaf_id == leaf
        assert history.siblings(asked, [new])[new.pk] == [new.pk]

    def test_the_older_version_is_shown_to_its_end(self, asked, echo):
        """What was gone on with before is there again."""
        _, old, new, *_ = asked.messages.all()
        delete_message(fresh(old))
        regenerate(fresh(new), echo)
        finish()
        newest = asked.messages.last()
        assert history.siblings(asked, [newest])[newest.pk] == [new.pk, newest.pk]
        asked.refresh_from_db()
        assert delete_message(fresh(newest)) == 1
        assert shown(asked) == ["Hello there", "Hello there", "And then?", "And then?"]

    def test_the_version_after_it_where_none_is_before(self, asked, echo):
        first = asked.messages.first()
        edit_question(Message.objects.select_related("conversation__owner").get(pk=first.pk), question("Other", echo))
        finish()
        show_branch(fresh(first))
        assert delete_message(fresh(first)) == 5
        assert shown(asked) == ["Other", "Other"]

    def test_the_only_answer_leaves_the_question(self, asked, alice_client, echo):
        third, fourth = asked.messages.all()[3:]
        assert delete_message(fresh(fourth)) == 1
        assert shown(asked) == ["Hello there", "Hello there", "And then?"]
        page = alice_client.get(asked.get_absolute_url()).content.decode()
        assert "This question has no answer." in page
        answered = alice_client.post(reverse("chat:regenerate", args=[asked.pk, third.pk]), **JSON)
        assert answered.status_code == 201
        finish()
        assert shown(asked) == ["Hello there", "Hello there", "And then?", "And then?"]
        assert "This question has no answer." not in alice_client.get(asked.get_absolute_url()).content.decode()

    def test_the_first_message_leaves_an_empty_conversation(self, asked, alice_client, echo):
        assert delete_message(fresh(asked.messages.first())) == 5
        asked.refresh_from_db()
        assert asked.leaf_id is None
        assert not asked.messages.exists()
        assert alice_client.get(asked.get_absolute_url()).status_code == 200
        assert alice_client.get(reverse("chat:messages", args=[asked.pk])).json()["messages"] == []
        start_generation(asked, question("Anew", echo))
        finish()
        assert shown(asked) == ["Anew", "Anew"]

    def test_not_while_an_answer_below_is_written(self, asked, echo):
        start_generation(asked, question("More", echo))
        with pytest.raises(ConversationBusyError):
            delete_message(fresh(asked.messages.first()))
        assert asked.messages.count() == 7
        cancel_generation(Generation.objects.unfinished().get())
        assert delete_message(fresh(asked.messages.first())) == 7

    def test_an_answer_elsewhere_goes_on(self, asked, echo):
        """Only what would go has to be over."""
        _, old, new, *_ = asked.messages.all()
        show_branch(fresh(old))
        asked.refresh_from_db()
        start_generation(asked, question("More", echo))
        delete_message(fresh(new))
        finish()
        assert shown(asked) == ["Hello there", "Hello there", "More", "More"]

    def test_twice_is_harmless(self, asked, published):
        message = fresh(asked.leaf)
        assert [delete_message(message), delete_message(message)] == [1, 0]
        assert sum(event == "message.deleted" for _, event, _ in published) == 1

    def test_nothing_is_stored_below_what_is_gone(self, asked, echo):
        """Whoever saw the message before it went is refused, and leaves no trace."""
        _, old, *_ = asked.messages.all()
        seen, edited = fresh(old), Message.objects.select_related("conversation__owner").get(pk=old.pk)
        delete_message(fresh(old))
        with pytest.raises(MessageGoneError):
            regenerate(seen, echo)
        with pytest.raises(MessageGoneError):
            edit_question(edited, question("Other", echo))
        assert asked.messages.count() == 4

    def test_its_pieces_and_its_feedback_go_with_it(self, asked, alice):
        Feedback.objects.create(message=asked.leaf, person=alice, value=1)
        DraftPiece.objects.create(message=asked.leaf, offset=0, text="x")
        delete_message(fresh(asked.leaf))
        assert not Feedback.objects.exists()
        assert not DraftPiece.objects.exists()

    def test_a_branch_of_thousands(self, alice, echo):
        conversation = Conversation.objects.create(owner=alice, title="Long", assistant=echo)
        before = first = Message.objects.create(conversation=conversation, role="user", content="first")
        for number in range(1_500):
            before = Message.objects.create(conversation=conversation, parent=before, role="user", content=str(number))
        Conversation.objects.update(leaf=before)
        assert delete_message(first) == 1_501
        assert not Message.objects.exists()

    def test_statements_do_not_grow_with_the_rows(self, asked, echo):
        def count() -> int:
            regenerate(fresh(asked.messages.filter(role="assistant").first()), echo)
            finish()
            newest = asked.messages.last()
            with CaptureQueriesContext(connection) as queries:
                delete_message(fresh(newest))
            return len(queries)

        few = count()
        for number in range(10):
            start_generation(Conversation.objects.select_related("owner").get(), question(f"{number}", echo))
            finish()
        with CaptureQueriesContext(connection) as queries:
            delete_message(fresh(asked.messages.all()[3]))
        assert len(queries) <= few

    def test_what_readers_hear_leads_them_to_what_is_left(self, asked, published, alice_client):
        reader = Reader()
        snapshot = reverse("chat:messages", args=[asked.pk])
        reader.take(alice_client.get(snapshot).json()["messages"], reader.ask())
        assert len(reader.branch) == 4
        delete_message(fresh(asked.messages.all()[2]))
        for _, event, data in published:
            reader.hear(event, data)
        assert reader.needs_snapshot
        reader.take(alice_client.get(snapshot).json()["messages"], reader.ask())
        assert not reader.needs_snapshot
        assert list(reader.texts.values()) == ["Hello there", "Hello there"]


class TestView:
    def test_it_works(self, alice_client, asked):
        response = alice_client.post(url(asked.messages.all()[2]), **JSON)
        assert (response.status_code, response.json()) == (200, {"deleted": 3})

    def test_it_asks_first_and_says_how_much_goes(self, alice_client, asked):
        _, _, new, *_ = asked.messages.all()
        page = " ".join(alice_client.get(url(new)).content.decode().split())
        assert "2 messages that follow it are deleted as well" in page
        assert "Its other version stays." in page
        part = alice_client.get(url(asked.leaf), **JSON).json()
        assert part["heading"] == "Delete the message?"
        assert "deleted as well" not in part["html"]
        assert "other version" not in part["html"]
        assert asked.messages.count() == 5

    def test_it_works_without_javascript(self, alice_client, asked):
        assert f'href="{url(asked.leaf)}"' in alice_client.get(asked.get_absolute_url()).content.decode()
        assert alice_client.post(url(asked.leaf))["Location"] == asked.get_absolute_url()
        assert asked.messages.count() == 4
        assert alice_client.post(url(asked.leaf)).status_code == 404  # by somebody who was slower

    def test_it_checks_ownership(self, charlie_client, asked):
        assert charlie_client.get(url(asked.leaf)).status_code == 404
        assert charlie_client.post(url(asked.leaf)).status_code == 404
        assert asked.messages.count() == 5

    def test_it_says_why_not(self, alice_client, asked, echo):
        start_generation(asked, question("More", echo))
        assert alice_client.post(url(asked.messages.first()), **JSON).status_code == 409
        assert "still being written" in alice_client.post(url(asked.messages.first())).content.decode()
