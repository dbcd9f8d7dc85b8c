"""Titles: the first words at once, a better one by a backend after the first answer."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator

import pytest

from backends import BaseChatBackend, ChatRequest, Finish, StreamEvent, TextDelta, chat_backends
from backends.exceptions import BackendUnavailable
from chat import titles
from chat.conversations import rename_conversation
from chat.generation import Question, end_generation, start_generation
from chat.models import Conversation, Message, Status, TitleFrom
from chat.retention.deleting import delete_conversations
from chat.runner import Runner
from chat.titles import cleaned, first_words, improve_title
from tests.fakes import claim_one
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)


class TitleBackend(BaseChatBackend):
    """Says what a test wants as a title; remembers what it was asked."""

    says: list[str] = ["A better ", "title"]
    requests: list[ChatRequest] = []
    sends_data_away = False
    error: Exception | None = None
    delay = 0.0
    meanwhile = staticmethod(lambda: None)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        self.requests.append(request)
        await asyncio.sleep(self.delay)
        await asyncio.to_thread(self.meanwhile)
        if self.error:
            raise self.error
        for text in self.says:
            yield TextDelta(text)
        yield Finish("stop")


@pytest.fixture
def namer(settings, monkeypatch):
    """The backend that makes titles, as a class whose attributes a test may set."""
    backend = type("Namer", (TitleBackend,), {"requests": []})
    monkeypatch.setattr("tests.chat.test_titles.Namer", backend, raising=False)
    settings.CHAT_BACKENDS = settings.CHAT_BACKENDS | {
        "namer": {"BACKEND": "tests.chat.test_titles.Namer", "LABEL": "Namer"}
    }
    settings.CHAT_TITLE_BACKEND = "namer"
    return backend


@pytest.fixture
def answered(ask, echo, no_runner):
    """An answer that is over, in a conversation with its first words for a title."""
    generation = ask(echo, "What is a keyset page, and why?")
    claimed = claim_one("worker")
    Message.objects.filter(pk=generation.pk).update(content="A page that begins after a row.")
    end_generation(claimed, Status.COMPLETED, finish_reason="stop")
    return generation.pk


def improve(pk):
    asyncio.run(improve_title(pk))
    return Conversation.objects.get().title


class TestImprove:
    def test_it_works(self, answered, namer, published):
        published.clear()
        assert improve(answered) == "A better title"
        conversation = Conversation.objects.get()
        assert conversation.title_from == TitleFrom.BACKEND
        assert [(event, data["title"]) for _, event, data in published] == [("conversation.updated", "A better title")]
        (request,) = namer.requests
        assert "What is a keyset page, and why?" in request.messages[0].content
        assert "A page that begins after a row." in request.messages[0].content
        assert request.max_output_tokens == titles.TOKENS
        assert request.user == ""

    def test_once(self, answered, namer):
        improve(answered)
        namer.says = ["Another"]
        assert improve(answered) == "A better title"

    def test_not_without_the_setting(self, answered, namer, settings):
        settings.CHAT_TITLE_BACKEND = ""
        assert improve(answered) == "What is a keyset page, and why?"
        assert not namer.requests

    def test_not_over_what_the_person_chose(self, answered, namer):
        rename_conversation(Conversation.objects.get(), "Mine")
        assert improve(answered) == "Mine"
        assert not namer.requests

    def test_not_over_what_the_person_chooses_meanwhile(self, answered, namer):
        namer.meanwhile = staticmethod(lambda: rename_conversation(Conversation.objects.get(), "Mine"))
        assert improve(answered) == "Mine"
        assert namer.requests

    def test_not_for_what_is_deleted_meanwhile(self, alice, answered, namer, published):
        pk = Conversation.objects.get().pk
        namer.meanwhile = staticmethod(lambda: delete_conversations(alice, [pk]))
        assert improve(answered) == "What is a keyset page, and why?"
        assert published[-1][1] == "conversation.deleted"

    def test_not_for_the_second_answer(self, answered, namer, echo):
        conversation = Conversation.objects.select_related("owner").get()
        second = start_generation(conversation, Question(content="And then?", assistant=echo, key=uuid.uuid4()))
        end_generation(claim_one("worker"), Status.COMPLETED, finish_reason="stop")
        improve(second.pk)
        assert not namer.requests

    @pytest.mark.parametrize("status", [Status.CANCELLED, Status.FAILED])
    def test_not_for_an_answer_that_came_to_nothing(self, ask, echo, no_runner, namer, status):
        generation = ask(echo, "Hello")
        end_generation(claim_one("worker"), status)
        assert improve(generation.pk) == "Hello"
        assert not namer.requests

    def test_nothing_leaves_the_machine_for_it(self, answered, namer):
        namer.sends_data_away = True
        assert improve(answered) == "What is a keyset page, and why?"
        assert not namer.requests

    @pytest.mark.parametrize("error", [BackendUnavailable("Connection refused."), ZeroDivisionError("a bug")])
    def test_a_failure_is_silent_and_logged(self, answered, namer, error, caplog):
        namer.error = error
        assert improve(answered) == "What is a keyset page, and why?"
        assert f"No title for answer {answered}" in caplog.text

    def test_it_takes_no_longer_than_it_may(self, answered, namer, monkeypatch, caplog):
        monkeypatch.setattr(titles, "SECONDS", 0.05)
        namer.delay = 30
        assert improve(answered) == "What is a keyset page, and why?"
        assert "took too long" in caplog.text

    def test_a_backend_that_says_nothing(self, answered, namer, caplog):
        namer.says = ["  \n", '""']
        assert improve(answered) == "What is a keyset page, and why?"
        assert "no title" in caplog.text

    def test_a_backend_that_does_not_stop(self, answered, namer):
        namer.says = ["A title\n"] + ["and on "] * 100_000
        assert improve(answered) == "A title"

    def test_a_backend_that_is_not_there(self, answered, settings, caplog):
        settings.CHAT_TITLE_BACKEND = "gone"
        assert improve(answered) == "What is a keyset page, and why?"
        assert "No title" in caplog.text


class TestRunner:
    def test_the_answer_does_not_wait_for_it(self, ask, echo, namer, published):
        namer.delay = 0.3
        generation = ask(echo, "Hello there")
        runner = Runner()
        runner.wake()
        try:
            until(lambda: Conversation.objects.get().title == "A better title")
        finally:
            runner.stop()
        told = [(event, data.get("title")) for _, event, data in published]
        finished = told.index(("message.finished", None))
        assert finished < told.index(("conversation.updated", "A better title"))
        assert Conversation.objects.get(messages=generation.pk).title_from == TitleFrom.BACKEND

    def test_a_stop_does_not_wait_for_it(self, ask, echo, namer):
        namer.delay = 60
        ask(echo, "Hello there")
        runner = Runner()
        runner.wake()
        until(lambda: namer.requests)
        began = time.monotonic()
        runner.stop()
        assert time.monotonic() - began < 5
        assert Conversation.objects.get().title == "Hello there"


class TestWords:
    @pytest.mark.parametrize(
        ("said", "title"),
        [
            ("Keyset pages", "Keyset pages"),
            ('"Keyset pages"', "Keyset pages"),
            ("Title: Keyset pages.", "Keyset pages"),
            ("**Title:** Keyset pages", "Keyset pages"),
            ("# Keyset pages\n\nIt is about pages.", "Keyset pages"),
            ("\n\n  “Keyset pages”\n", "Keyset pages"),
            ("제목: 키셋 페이지", "키셋 페이지"),
            ("<think>What is it about?\nPages.</think>\nKeyset pages", "Keyset pages"),
            ("<think>and so on", ""),
            ("Wait...", "Wait..."),
            ("Null \x00 and half \ud83d", "Null \ufffd and half \ufffd"),
            ("", ""),
            ("---\n```", ""),
        ],
    )
    def test_cleaned(self, said, title):
        assert cleaned(said) == title

    def test_cleaned_is_short(self):
        assert len(cleaned("word " * 100)) <= titles.LENGTH + 1

    @pytest.mark.parametrize(
        ("content", "title"),
        [
            ("Hello\n there", "Hello there"),
            ("x" * 80, "x" * 59 + "…"),
            ("a word " * 20, "a word a word a word a word a word a word a word a word a…"),
        ],
    )
    def test_first_words(self, content, title):
        assert first_words(content) == title


def test_titles_that_were_there_before_are_left_alone(alice):
    assert Conversation.objects.create(owner=alice, title="Imported").title_from == TitleFrom.PERSON
    assert chat_backends
