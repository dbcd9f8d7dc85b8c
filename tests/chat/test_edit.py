"""A question that is asked in other words: a branch of its own."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from django.urls import reverse

from chat import history
from chat.generation import (
    ConversationBusyError,
    KeyReusedError,
    Question,
    cancel_generation,
    edit_question,
    start_generation,
)
from chat.models import Conversation, Generation, Message, Status
from chat.writing import build_request, run_generation
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}


def finish() -> None:
    asyncio.run(run_generation(claim_one("this-worker")))


@pytest.fixture
def asked(conversation, echo) -> Conversation:
    """Two questions with their answers."""
    finish()
    start_generation(conversation, Question(content="And then?", assistant=echo, key=uuid.uuid4()))
    finish()
    return Conversation.objects.select_related("owner").get()


def first(conversation) -> Message:
    return conversation.messages.select_related("conversation__owner").earliest("pk")


def sending(content="In other words", assistant="echo", **data):
    return {"content": content, "key": str(uuid.uuid4()), "assistant": assistant, **data}


def url(message: Message) -> str:
    return reverse("chat:edit", args=[message.conversation_id, message.pk])


def shown(conversation) -> list[str]:
    conversation.refresh_from_db()
    return [message.content for message in history.branch(conversation, conversation.leaf_id, 100)]


class TestVerb:
    def question(self, assistant, content="In other words", key=None) -> Question:
        return Question(content=content, assistant=assistant, key=key or uuid.uuid4())

    def test_it_works(self, asked, echo, published):
        before = list(asked.messages.values_list("pk", "content"))
        generation = edit_question(first(asked), self.question(echo))
        assert generation.status == Status.QUEUED
        assert list(asked.messages.values_list("pk", "content"))[:4] == before
        assert shown(asked) == ["In other words", ""]
        assert history.siblings(asked, [first(asked)])[first(asked).pk] == [before[0][0], generation.message.parent_id]
        assert [(event, data.get("parent")) for _, event, data in published if event == "message.created"] == [
            ("message.created", None),
            ("message.created", generation.message.parent_id),
        ]
        finish()
        assert shown(asked) == ["In other words", "In other words"]

    def test_what_was_asked_before_is_what_the_backend_is_asked(self, asked, echo):
        later = asked.messages.filter(role="user").latest("pk")
        edit_question(Message.objects.select_related("conversation__owner").get(pk=later.pk), self.question(echo))
        request = build_request(claim_one("this-worker"))
        assert [message.content for message in request.messages] == ["Hello there", "Hello there", "In other words"]

    def test_the_same_twice_is_done_once(self, asked, echo):
        question = self.question(echo)
        generation = edit_question(first(asked), question)
        assert edit_question(first(asked), question) == generation
        assert asked.messages.count() == 6

    def test_other_words_with_the_same_key_are_refused(self, asked, echo):
        question = self.question(echo)
        edit_question(first(asked), question)
        with pytest.raises(KeyReusedError):
            edit_question(first(asked), self.question(echo, "Yet other words", question.key))
        assert asked.messages.count() == 6

    def test_a_key_of_another_conversation_is_refused(self, asked, ask, echo):
        other = ask(echo, "In other words").message.parent
        with pytest.raises(KeyReusedError):
            edit_question(first(asked), self.question(echo, key=other.key))
        assert asked.messages.count() == 4

    def test_it_waits_for_the_answer_at_the_end(self, asked, echo):
        running = start_generation(asked, self.question(echo, "More"))
        with pytest.raises(ConversationBusyError):
            edit_question(first(asked), self.question(echo))
        cancel_generation(running)
        edit_question(first(asked), self.question(echo))


class TestView:
    def test_it_works(self, alice_client, asked, scripted):
        response = alice_client.post(url(first(asked)), sending(assistant="scripted"), **JSON)
        assert response.status_code == 201
        question, answer = asked.messages.order_by("pk")[4:]
        assert response.json()["messages"] == [question.pk, answer.pk]
        assert f'id="message-{answer.pk}"' in response.json()["html"]
        assert "2 / 2" in " ".join(response.json()["html"].split())
        assert Generation.objects.get(pk=answer.pk).backend == "scripted"

    def test_it_checks_ownership(self, charlie_client, asked):
        assert charlie_client.get(url(first(asked))).status_code == 404
        assert charlie_client.post(url(first(asked)), sending()).status_code == 404
        assert asked.messages.count() == 4

    def test_an_answer_cannot_be_edited(self, alice_client, asked):
        answer = asked.messages.filter(role="assistant").first()
        assert alice_client.get(url(answer)).status_code == 404
        assert alice_client.post(url(answer), sending()).status_code == 404

    def test_it_works_without_javascript(self, alice_client, asked):
        page = alice_client.get(asked.get_absolute_url()).content.decode()
        assert f'href="{url(first(asked))}"' in page
        response = alice_client.get(url(first(asked)))
        assert response.context["form"]["content"].value() == "Hello there"
        page = response.content.decode()
        assert '<option value="echo" selected>' in page
        form = sending(key=str(response.context["form"]["key"].value()))
        for _ in range(2):
            assert alice_client.post(url(first(asked)), form)["Location"] == asked.get_absolute_url()
        assert shown(asked) == ["In other words", ""]
        assert asked.messages.count() == 6

    @pytest.mark.parametrize("content", ["", " \n "])
    def test_it_wants_words(self, alice_client, asked, content):
        refused = alice_client.post(url(first(asked)), sending(content), **JSON)
        assert refused.status_code == 422
        assert refused.json()["errors"]["content"] == ["Write a message first."]
        assert alice_client.post(url(first(asked)), sending(content)).status_code == 422

    def test_what_was_typed_comes_back(self, alice_client, asked, echo):
        start_generation(asked, Question(content="More", assistant=echo, key=uuid.uuid4()))
        refused = alice_client.post(url(first(asked)), sending("My long text"))
        assert refused.status_code == 409
        assert "My long text" in refused.content.decode()
        assert "still being written" in refused.content.decode()

    def test_a_key_that_was_used_is_renewed(self, alice_client, asked):
        form = sending()
        alice_client.post(url(first(asked)), form)
        cancel_generation(Generation.objects.unfinished().get())
        refused = alice_client.post(url(first(asked)), form | {"content": "Yet other words"})
        assert refused.status_code == 422
        assert "Yet other words" in refused.content.decode()
        again = {"content": "Yet other words", "assistant": "echo", "key": refused.context["form"]["key"].value()}
        assert alice_client.post(url(first(asked)), again).status_code == 302

    def test_an_assistant_that_is_gone_is_named(self, alice_client, asked):
        refused = alice_client.post(url(first(asked)), sending(assistant="gone"), **JSON)
        assert refused.status_code == 422
        assert "not there any more" in refused.json()["errors"]["assistant"][0]

    @pytest.mark.parametrize(
        ("setting", "status", "words"),
        [
            ("CHAT_MAX_UNFINISHED_PER_USER", 429, "Wait for one of them"),
            ("CHAT_MAX_UNFINISHED", 503, "The site is very busy."),
        ],
    )
    def test_it_counts_as_an_answer(self, alice_client, asked, ask, echo, settings, setting, status, words):
        ask(echo, "Elsewhere")
        setattr(settings, setting, 1)
        refused = alice_client.post(url(first(asked)), sending(), **JSON)
        assert refused.status_code == status
        assert words in refused.json()["errors"]["__all__"][0]
        assert asked.messages.count() == 4
