"""A conversation that goes on from a message of another one."""

from __future__ import annotations

import asyncio
import uuid
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from chat import history
from chat.forking import fork_conversation
from chat.generation import Question, cancel_generation, regenerate, start_generation
from chat.models import Conversation, Generation, Message, Status
from chat.refusals import ConversationBusyError, MessageGoneError
from chat.retention.pruning import delete_message
from chat.writing import build_request, run_generation
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}


def finish() -> None:
    asyncio.run(run_generation(claim_one("this-worker")))


def say_more(conversation, assistant, content="And then?") -> None:
    conversation = Conversation.objects.select_related("owner").get(pk=conversation.pk)
    start_generation(conversation, Question(content=content, assistant=assistant, key=uuid.uuid4()))
    finish()


def fresh(message) -> Message:
    return Message.objects.select_related("conversation__owner").get(pk=message.pk)


def url(message) -> str:
    return reverse("chat:fork", args=[message.conversation_id, message.pk])


def texts(conversation) -> list[str]:
    conversation.refresh_from_db()
    return [message.content for message in history.branch(conversation, conversation.leaf_id, 100)]


@pytest.fixture
def asked(conversation, echo) -> Conversation:
    """Three questions with their answers, which cost something."""
    echo.input_price = echo.output_price = Decimal(1000)
    echo.save()
    finish()
    for content in ("Second", "Third"):
        say_more(conversation, echo, content)
    return Conversation.objects.select_related("owner").get()


class TestVerb:
    def test_it_works(self, asked, published):
        origin = list(asked.messages.values_list("pk", "content", "parent"))
        fork = fork_conversation(fresh(asked.messages.all()[3]))
        assert (fork.owner_id, fork.assistant_id, fork.title) == (
            asked.owner_id,
            asked.assistant_id,
            "Hello there (fork)",
        )
        assert texts(fork) == ["Hello there", "Hello there", "Second", "Second"]
        assert [event for _, event, data in published if data.get("conversation") == str(fork.pk)] == [
            "conversation.updated"
        ]
        assert list(asked.messages.values_list("pk", "content", "parent")) == origin

    def test_times_and_facts_are_kept_and_nothing_is_counted_twice(self, asked):
        answers = list(Generation.objects.order_by("pk"))
        fork = fork_conversation(fresh(asked.leaf))
        copies = list(Generation.objects.filter(message__conversation=fork).order_by("pk"))
        assert len(copies) == 3
        for old, new in zip(answers, copies, strict=True):
            for name in (
                "status",
                "finish_reason",
                "assistant_id",
                "assistant_name",
                "backend",
                "parameters",
                "input_tokens",
                "output_tokens",
                "queued_at",
                "first_delta_at",
                "finished_at",
            ):
                assert getattr(new, name) == getattr(old, name), name
            assert old.cost > 0
            assert (new.cost, new.is_copy, old.is_copy) == (0, True, False)
            assert (new.worker, new.message.created_at) == ("", old.message.created_at)

    def test_the_two_go_their_own_ways(self, asked, echo):
        fork = fork_conversation(fresh(asked.messages.all()[1]))
        say_more(fork, echo, "Elsewhere")
        assert texts(fork) == ["Hello there", "Hello there", "Elsewhere", "Elsewhere"]
        assert len(texts(asked)) == 6
        delete_message(fresh(asked.messages.first()))
        assert len(texts(fork)) == 4

    def test_a_fork_can_be_gone_on_with(self, asked, echo):
        """What a backend is asked is the copied branch, in its order."""
        fork = fork_conversation(fresh(asked.messages.all()[3]))
        fork = Conversation.objects.select_related("owner").get(pk=fork.pk)
        start_generation(fork, Question(content="Next", assistant=echo, key=uuid.uuid4()))
        request = build_request(claim_one("this-worker"))
        assert [message.content for message in request.messages] == [*["Hello there"] * 2, *["Second"] * 2, "Next"]

    def test_only_the_branch_is_copied(self, asked, scripted):
        regenerate(Message.objects.select_related("conversation__owner", "parent").get(pk=asked.leaf_id), scripted)
        cancel_generation(Generation.objects.unfinished().get())
        fork = fork_conversation(fresh(asked.messages.all()[5]))
        assert texts(fork)[-1] == "Third"
        assert fork.messages.count() == 6

    def test_a_fork_that_ends_with_a_question_can_be_answered(self, asked, echo):
        fork = fork_conversation(fresh(asked.messages.all()[2]))
        assert texts(fork) == ["Hello there", "Hello there", "Second"]
        regenerate(Message.objects.select_related("conversation__owner").get(pk=fork.leaf_id), echo)
        finish()
        assert texts(fork) == ["Hello there", "Hello there", "Second", "Second"]

    def test_an_unfinished_answer_is_refused(self, asked, echo):
        start_generation(asked, Question(content="More", assistant=echo, key=uuid.uuid4()))
        running = Generation.objects.unfinished().get()
        with pytest.raises(ConversationBusyError):
            fork_conversation(fresh(running.message))
        assert Conversation.objects.count() == 1
        # What is before it can be forked meanwhile.
        assert len(texts(fork_conversation(fresh(asked.messages.all()[5])))) == 6

    def test_a_message_that_was_deleted_meanwhile(self, asked):
        message = fresh(asked.leaf)
        delete_message(fresh(asked.leaf))
        with pytest.raises(MessageGoneError):
            fork_conversation(message)
        assert Conversation.objects.count() == 1

    def test_a_long_title_has_room_for_its_end(self, asked):
        asked.title = "x" * 200
        asked.save()
        fork = fork_conversation(fresh(asked.leaf))
        assert (len(fork.title), fork.title[-8:]) == (200, "x (fork)")

    def test_statements_do_not_grow_with_the_branch(self, asked, echo):
        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                fork_conversation(fresh(Conversation.objects.get(pk=asked.pk).leaf))
            return len(queries)

        few = count()
        for number in range(10):
            say_more(asked, echo, f"{number}")
        assert count() == few

    def test_a_branch_of_thousands(self, alice, echo):
        """More rows than one statement may have parameters."""
        conversation = Conversation.objects.create(owner=alice, title="Long", assistant=echo)
        before = None
        with connection.constraint_checks_disabled():
            for number in range(1_500):
                before = Message.objects.create(
                    conversation=conversation, parent=before, role="user", content=str(number)
                )
        fork = fork_conversation(before)
        copied = history.branch(fork, Conversation.objects.get(pk=fork.pk).leaf_id, 10_000)
        assert [message.content for message in copied] == [str(number) for number in range(1_500)]


class TestView:
    def test_it_works(self, alice_client, asked):
        response = alice_client.post(url(asked.leaf), **JSON)
        fork = Conversation.objects.exclude(pk=asked.pk).get()
        assert (response.status_code, response.json()) == (201, {"url": fork.get_absolute_url()})
        page = alice_client.get(fork.get_absolute_url()).content.decode()
        assert page.count("Hello there") > 2

    def test_it_works_without_javascript(self, alice_client, asked):
        assert f'action="{url(asked.leaf)}"' in alice_client.get(asked.get_absolute_url()).content.decode()
        response = alice_client.post(url(asked.leaf))
        assert response["Location"] == Conversation.objects.exclude(pk=asked.pk).get().get_absolute_url()

    def test_it_checks_ownership(self, charlie_client, asked):
        assert charlie_client.post(url(asked.leaf)).status_code == 404
        assert Conversation.objects.count() == 1

    def test_it_rejects_get(self, alice_client, asked):
        assert alice_client.get(url(asked.leaf)).status_code == 405

    def test_it_says_why_not(self, alice_client, asked, echo):
        start_generation(asked, Question(content="More", assistant=echo, key=uuid.uuid4()))
        running = Generation.objects.unfinished().get().message
        refused = alice_client.post(url(running), **JSON)
        assert refused.status_code == 409
        assert "still being written" in refused.json()["errors"]["__all__"][0]
        assert "still being written" in alice_client.post(url(running)).content.decode()
        assert Generation.objects.get(pk=running.pk).status == Status.QUEUED
