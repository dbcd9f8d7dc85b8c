"""Two things at the same moment: the rows of docs/races.md.

Played by threads that begin together, often enough to meet, or put in order by a barrier in what is called in between.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connections
from django.test import Client
from django.urls import reverse

from backends import TextDelta
from chat import generation as verbs
from chat import pieces
from chat.conversations import publish_conversation, rename_conversation, show_branch
from chat.generation import (
    Question,
    cancel_generation,
    continue_generation,
    edit_question,
    end_answers_of_the_deactivated,
    end_generation,
    regenerate,
    start_conversation,
    start_generation,
)
from chat.models import Conversation, DraftPiece, Generation, Message, Status, User
from chat.queue import DeathWatch, claim, renew
from chat.refusals import ConversationGoneError, MessageGoneError, RefusedError
from chat.runner import Runner
from chat.writing import run_generation
from tests.conftest import PASSWORD
from tests.fakes import ScriptedBackend, claim_one
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)

JSON = {"accept": "application/json"}
ROUNDS = 8
"""How often what is left to chance is tried."""


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make the calls in threads that begin together; return what each of them returned, or why it was refused."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            barrier.wait(10)
            return call()
        except RefusedError as error:
            return type(error).__name__
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(30) for future in [pool.submit(run, call) for call in calls]]


def write(claimed: Generation) -> None:
    asyncio.run(run_generation(claimed))


class Tab:
    """A page of somebody's, which sends what it sends once."""

    def __init__(self, user) -> None:
        self.client = Client()
        self.client.force_login(user)

    def post(self, name: str, *args: Any, **data: Any):
        return self.client.post(reverse(f"chat:{name}", args=args), data, headers=JSON)

    def send(self, conversation, content="Next", key=None, assistant="echo"):
        return self.post("messages", conversation.pk, content=content, key=key or uuid.uuid4(), assistant=assistant)

    def edit(self, question, content="In other words", key=None):
        data = {"content": content, "key": key or uuid.uuid4(), "assistant": "echo"}
        return self.post("edit", question.conversation_id, question.pk, **data)

    def regenerate(self, answer):
        return self.post("regenerate", answer.conversation_id, answer.pk, assistant="echo")

    def resume(self, answer):
        return self.post("continue", answer.conversation_id, answer.pk)

    def show(self, message):
        return self.post("show", message.conversation_id, message.pk)

    def delete(self, conversation):
        return self.post("delete", conversation.pk)

    def delete_message(self, message):
        return self.post("delete_message", message.conversation_id, message.pk)

    def fork(self, message):
        return self.post("fork", message.conversation_id, message.pk)


@pytest.fixture
def tabs(alice) -> list[Tab]:
    """Two tabs of Alice's."""
    return [Tab(alice), Tab(alice)]


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.stop()


@pytest.fixture
def answered(ask, echo, no_runner) -> Callable[[], Conversation]:
    """Make a conversation whose only answer was cut, and can be continued."""

    def make() -> Conversation:
        generation = ask(echo, "Hello there")
        Message.objects.filter(pk=generation.pk).update(content="The beginning")
        cancel_generation(generation)
        return Conversation.objects.select_related("owner").get(pk=generation.message.conversation_id)

    return make


def statuses(responses) -> list[int]:
    return sorted(response.status_code for response in responses)


def newest(conversation, role="assistant") -> Message:
    mine = conversation.messages.filter(role=role)
    return mine.select_related("conversation__owner", "generation").latest("pk")


def check(conversation) -> None:
    """Check what holds for a conversation whatever happened to it."""
    conversation.refresh_from_db()
    assert not conversation.leaf.children.exists()
    unfinished = Generation.objects.unfinished().filter(message__conversation=conversation)
    assert unfinished.count() <= 1
    assert {generation.pk for generation in unfinished} <= {conversation.leaf_id}
    for question in conversation.messages.filter(role="user"):
        assert question.children.exists()


class TestSend:
    def test_two_tabs(self, tabs, answered):
        """One wins; the other is told to wait, and nothing of it is stored."""
        for _ in range(ROUNDS):
            conversation = answered()
            responses = at_once(*[partial(tab.send, conversation) for tab in tabs])
            assert statuses(responses) == [201, 409]
            (refused,) = [response for response in responses if response.status_code == 409]
            assert "still being written" in refused.json()["errors"]["__all__"][0]
            assert conversation.messages.count() == 4
            check(conversation)

    def test_the_same_form_twice(self, tabs, answered):
        """A double click, or a retry while the first try is on its way, is answered as the first one was."""
        for _ in range(ROUNDS):
            conversation, key = answered(), uuid.uuid4()
            responses = at_once(*[partial(tab.send, conversation, key=key) for tab in tabs * 2])
            assert statuses(responses) == [201] * 4
            assert len({tuple(response.json()["messages"]) for response in responses}) == 1
            assert conversation.messages.count() == 4
            check(conversation)

    def test_the_first_message_twice(self, tabs, echo, no_runner):
        for _ in range(ROUNDS):
            form = {"content": "Hello", "key": uuid.uuid4(), "assistant": "echo"}
            responses = at_once(*[partial(tab.post, "home", **form) for tab in tabs * 2])
            assert statuses(responses) == [201] * 4
            assert len({response.json()["url"] for response in responses}) == 1
        assert Conversation.objects.count() == Generation.objects.count() == ROUNDS

    def test_the_same_key_with_other_words(self, tabs, answered):
        for _ in range(ROUNDS):
            conversation, key = answered(), uuid.uuid4()
            calls = [partial(tab.send, conversation, words, key) for tab, words in zip(tabs, "ab", strict=True)]
            assert statuses(at_once(*calls)) == [201, 422]
            assert conversation.messages.count() == 4

    def test_the_same_form_twice_where_there_is_room_for_one(self, tabs, answered, settings):
        settings.CHAT_MAX_UNFINISHED_PER_USER = 1
        for _ in range(ROUNDS):
            conversation, key = answered(), uuid.uuid4()
            responses = at_once(*[partial(tab.send, conversation, key=key) for tab in tabs])
            assert statuses(responses) == [201, 201]
            cancel_generation(newest(conversation).generation)


def before_transaction(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do this before a verb's next transaction, in which SQLite lets nobody else write."""
    real = verbs.transaction

    def atomic():
        monkeypatch.setattr(verbs, "transaction", real)
        act()
        return real.atomic()

    monkeypatch.setattr(verbs, "transaction", SimpleNamespace(atomic=atomic))


class TestBranches:
    """Answering again, going on, asking in other words and sending: of two of them, one wins."""

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("regenerate", "regenerate"),
            ("resume", "resume"),
            ("edit", "edit"),
            ("resume", "regenerate"),
            ("resume", "edit"),
            ("resume", "send"),
            ("regenerate", "edit"),
            ("regenerate", "send"),
            ("edit", "send"),
        ],
    )
    def test_one_wins(self, tabs, answered, first, second):
        for _ in range(ROUNDS // 2):
            conversation = answered()
            answer, question = newest(conversation), newest(conversation, "user")
            subjects = {"regenerate": answer, "resume": answer, "edit": question, "send": conversation}
            calls = [
                partial(getattr(tab, name), subjects[name]) for tab, name in zip(tabs, (first, second), strict=True)
            ]
            assert statuses(at_once(*calls)) == [201, 409]
            assert Generation.objects.unfinished().filter(message__conversation=conversation).count() == 1
            check(conversation)

    def test_the_same_edit_twice(self, tabs, answered):
        for _ in range(ROUNDS):
            conversation, key = answered(), uuid.uuid4()
            question = newest(conversation, "user")
            responses = at_once(*[partial(tab.edit, question, key=key) for tab in tabs])
            assert statuses(responses) == [201, 201]
            assert responses[0].json()["messages"] == responses[1].json()["messages"]
            check(conversation)

    @pytest.mark.parametrize("name", ["regenerate", "resume", "edit", "send"])
    def test_while_the_newest_answer_is_written(self, tabs, answered, name):
        conversation = answered()
        old, question = newest(conversation), newest(conversation, "user")
        tabs[0].send(conversation)
        subjects = {"regenerate": old, "resume": old, "edit": question, "send": conversation}
        refused = getattr(tabs[1], name)(subjects[name])
        assert refused.status_code == 409
        assert conversation.messages.count() == 4
        check(conversation)

    @pytest.mark.parametrize("verb", ["resume", "send", "regenerate"])
    def test_between_the_look_and_the_lock(self, tabs, answered, monkeypatch, verb):
        """What one tab saw when its request came is not true any more when it is its turn."""
        conversation = answered()
        answer = newest(conversation)

        def send_first():
            assert at_once(partial(tabs[0].send, conversation, "first"))[0].status_code == 201

        subjects = {"resume": answer, "send": conversation, "regenerate": answer}
        before_transaction(monkeypatch, send_first)
        assert getattr(tabs[1], verb)(subjects[verb]).status_code == 409
        assert newest(conversation, "user").content == "first"
        check(conversation)

    def test_another_branch_is_shown_while_an_answer_is_written(self, tabs, answered, published):
        """It goes on where it is, and the branch that is shown can be gone on with."""
        conversation = answered()
        old = newest(conversation)
        tabs[0].regenerate(old)
        running = claim_one("worker")
        assert tabs[1].show(old).status_code == 200
        conversation.refresh_from_db()
        assert conversation.leaf_id == old.pk
        assert tabs[1].send(conversation).status_code == 201
        assert Generation.objects.unfinished().filter(message__conversation=conversation).count() == 2
        write(running)
        assert Generation.objects.get(pk=running.pk).status == Status.COMPLETED
        conversation.refresh_from_db()
        assert conversation.leaf_id == newest(conversation).pk
        rows = [data["running"] for _, event, data in published if event == "conversation.updated"]
        assert rows[-1]  # the other one is being written

    def test_another_branch_is_shown_while_a_question_is_sent(self, tabs, answered):
        """Whichever is first, the end of the shown branch is the end of one."""
        for _ in range(ROUNDS):
            conversation = answered()
            old = newest(conversation)
            tabs[0].regenerate(old)
            cancel_generation(newest(conversation).generation)
            responses = at_once(partial(tabs[0].send, conversation), partial(tabs[1].show, old))
            assert statuses(responses) in ([200, 201], [200, 409])
            conversation.refresh_from_db()
            assert not conversation.leaf.children.exists()


class TestEnd:
    def test_cancel_against_finish(self, ask, echo, published):
        """One status wins, the row and the one event say the same, and the text is kept."""
        for number in range(ROUNDS * 2):
            published.clear()
            ask(echo, " ".join("abcdefgh"))
            claimed = claim_one("worker")

            def cancel(pk=claimed.pk, late=number % 8) -> bool:
                time.sleep(0.003 * late)
                return cancel_generation(Generation.objects.get(pk=pk))

            _, cancelled = at_once(partial(write, claimed), cancel)
            ended = Generation.objects.select_related("message").get(pk=claimed.pk)
            assert ended.status == (Status.CANCELLED if cancelled else Status.COMPLETED)
            assert (ended.finish_reason, ended.output_tokens) == (("", None) if cancelled else ("stop", 8))
            (finished,) = [data for _, event, data in published if event == "message.finished"]
            assert (finished["status"], finished["length"]) == (ended.status, len(ended.message.content))
            told = "".join(data["text"] for _, event, data in published if event == "message.delta")
            assert told == ended.message.content
            assert not DraftPiece.objects.exists()

    def test_cancel_twice(self, ask, echo, published):
        for _ in range(ROUNDS):
            published.clear()
            generation = ask(echo, "Hello")
            assert sorted(at_once(*[partial(cancel_generation, generation)] * 3)) == [False, False, True]
            assert [event for _, event, _ in published].count("message.finished") == 1

    def test_cancel_against_claim(self, ask, echo):
        for _ in range(ROUNDS):
            generation = ask(echo, "Hello")
            claimed, cancelled = at_once(partial(claim, "worker", 1), partial(cancel_generation, generation))
            assert cancelled
            assert Generation.objects.get(pk=generation.pk).status == Status.CANCELLED
            assert renew("worker", [generation.pk for generation in claimed]) == set()

    def test_the_end_of_one_run_is_not_the_end_of_the_next(self, ask, echo, published):
        """Cancelled and continued before its worker has noticed: what that says is not of this run any more."""
        generation = ask(echo, "Hello")
        first = claim_one("one-worker")
        pieces.append([(first.pk, 0, "The beginning")])
        cancel_generation(generation)
        continue_generation(newest(Conversation.objects.select_related("owner").get()))
        assert not end_generation(first, Status.INCOMPLETE, finish_reason="interrupted")
        second = claim_one("another-worker")
        assert not end_generation(first, Status.INCOMPLETE, finish_reason="interrupted")
        assert end_generation(second, Status.COMPLETED, finish_reason="stop")
        assert [event for _, event, _ in published].count("message.finished") == 2

    def test_a_worker_that_was_taken_for_dead(self, ask, scripted):
        """It hears of it with its next write, and stops its backend."""
        ask(scripted, "forever")
        claimed = claim_one("worker")

        def reap() -> None:
            until(lambda: DraftPiece.objects.filter(message=claimed.pk).exists())
            watch = DeathWatch()
            until(lambda: watch.reap(0.2) == 1)

        at_once(partial(write, claimed), reap)
        assert ScriptedBackend.open == 0
        ended = Generation.objects.select_related("message").get()
        assert (ended.status, ended.finish_reason) == (Status.INCOMPLETE, "interrupted")
        assert ended.message.content.startswith("0 ")

    def test_two_workers_claim(self, ask, echo):
        for _ in range(ROUNDS):
            asked = {ask(echo, "Hello").pk for _ in range(4)}
            claims = at_once(*[partial(claim, name, 3) for name in ("one", "two", "three")])
            taken = [generation.pk for claimed in claims for generation in claimed]
            assert len(taken) == len(set(taken))
            assert set(taken) | {generation.pk for generation in claim("four", 4)} == asked
            for pk in asked:
                cancel_generation(Generation.objects.get(pk=pk))


class TestDelete:
    def test_while_answers_are_written(self, tabs, ask, scripted, runner, published):
        """The backends stop, nothing is found, what was written is kept for an undo, and the open tabs are told."""
        conversations = [ask(scripted, "forever").message.conversation for _ in range(6)]
        runner.wake()
        until(lambda: DraftPiece.objects.values("message").distinct().count() == 6)
        responses = at_once(*[partial(tabs[0].delete, item) for item in conversations])
        assert statuses(responses) == [200] * 6
        until(lambda: ScriptedBackend.open == 0, 3)
        runner.stop()
        assert not DraftPiece.objects.exists()
        assert not Conversation.objects.kept().exists()
        assert set(Generation.objects.values_list("status", flat=True)) == {Status.CANCELLED}
        assert not Message.objects.filter(content="").exists()
        told = [data["conversation"] for _, event, data in published if event == "conversation.deleted"]
        assert sorted(told) == sorted(str(conversation.pk) for conversation in conversations)

    @pytest.mark.parametrize("model", ["conversation", "user"])
    @pytest.mark.parametrize("how", ["one", "selected"])
    def test_by_an_administrator(self, alice, staff, ask, scripted, runner, published, model, how):
        conversation = ask(scripted, "forever").message.conversation
        runner.wake()
        until(DraftPiece.objects.exists)
        client, pk = Tab(staff).client, {"conversation": conversation.pk, "user": alice.pk}[model]
        if how == "one":
            client.post(reverse(f"admin:chat_{model}_delete", args=[pk]), {"post": "yes"})
        else:
            form = {"action": "delete_selected", "_selected_action": pk, "post": "yes"}
            client.post(reverse(f"admin:chat_{model}_changelist"), form)
        until(lambda: ScriptedBackend.open == 0, 3)
        runner.stop()
        assert not Conversation.objects.exists()
        assert not DraftPiece.objects.exists()
        assert published[-1][1] == "conversation.deleted"

    def test_against_sending(self, tabs, answered, published):
        """Sent first, and gone with the rest; or refused, because there is nothing left to send to."""
        for _ in range(ROUNDS):
            published.clear()
            conversation = answered()
            deleted, sent = at_once(partial(tabs[0].delete, conversation), partial(tabs[1].send, conversation))
            assert (deleted.status_code, sent.status_code) in {(200, 201), (200, 404)}
            assert not Conversation.objects.kept().exists()
            assert not Generation.objects.unfinished().exists()

    def test_sending_to_what_is_gone_keeps_the_text(self, tabs, answered, monkeypatch):
        conversation = answered()
        real = verbs._once

        def delete_first(*arguments):
            tabs[1].delete(conversation)
            return real(*arguments)

        monkeypatch.setattr(verbs, "_once", delete_first)
        form = {"content": "My long text", "key": uuid.uuid4(), "assistant": "echo"}
        refused = tabs[0].client.post(reverse("chat:messages", args=[conversation.pk]), form)
        assert refused.status_code == 404
        page = refused.content.decode()
        assert "This conversation was deleted." in page
        assert "My long text" in page
        assert f'action="{reverse("chat:home")}"' in page
        assert not Message.objects.filter(content="My long text").exists()

    def test_twice(self, tabs, answered, published):
        for _ in range(ROUNDS):
            published.clear()
            conversation = answered()
            responses = at_once(*[partial(tab.delete, conversation) for tab in tabs])
            assert statuses(responses) in ([200, 200], [200, 404])
            assert [event for _, event, _ in published].count("conversation.deleted") == 1

    def test_nobody_hears_of_it_afterwards(self, ask, echo, alice, tabs, published):
        """The worker that ends the answer at the same moment tells nothing that would bring it back to a list."""
        conversation = ask(echo, "Hello").message.conversation
        claimed = claim_one("worker")
        tabs[0].delete(conversation)
        published.clear()
        write(claimed)
        publish_conversation(conversation)
        assert published == []

    @pytest.mark.parametrize("name", ["rename", "show", "regenerate", "resume", "edit"])
    def test_what_comes_too_late(self, tabs, answered, echo, name):
        """It is refused, and brings nothing back."""
        conversation = answered()
        answer, question = newest(conversation), newest(conversation, "user")
        calls = {
            "rename": partial(rename_conversation, Conversation.objects.get(), "A better title"),
            "show": partial(show_branch, answer),
            "regenerate": partial(regenerate, answer, echo),
            "resume": partial(continue_generation, answer),
            "edit": partial(edit_question, question, Question(content="Other words", assistant=echo, key=uuid.uuid4())),
        }
        tabs[0].delete(conversation)
        with pytest.raises(ConversationGoneError):
            calls[name]()
        assert not Conversation.objects.kept().exists()
        assert Message.objects.count() == 2


class TestDeletedMessages:
    @pytest.fixture
    def twice(self, answered, echo) -> Callable[[], Conversation]:
        """Make a conversation whose question has two answers, both cut."""

        def make() -> Conversation:
            conversation = answered()
            generation = regenerate(newest(conversation), echo)
            Message.objects.filter(pk=generation.pk).update(content="Another beginning")
            cancel_generation(generation)
            return Conversation.objects.select_related("owner").get(pk=conversation.pk)

        return make

    @pytest.mark.parametrize("name", ["send", "regenerate", "resume", "edit", "show", "fork"])
    def test_at_the_same_moment(self, tabs, twice, name):
        """Whoever is first, what is shown is the end of a branch, and nothing hangs below what is gone."""
        for _ in range(ROUNDS):
            conversation = twice()
            answer, question = newest(conversation), newest(conversation, "user")
            subject = {"send": conversation, "edit": question}.get(name, answer)
            other = partial(getattr(tabs[1], name), subject)
            deleted, did = at_once(partial(tabs[0].delete_message, answer), other)
            assert deleted.status_code in {200, 409}
            assert did.status_code in {200, 201, 404, 409}
            if deleted.status_code == 409:
                assert did.status_code == 201
            assert Message.objects.filter(pk=answer.pk).exists() == (deleted.status_code == 409)
            check(conversation)

    def test_twice(self, tabs, twice, published):
        for _ in range(ROUNDS):
            published.clear()
            conversation = twice()
            responses = at_once(*[partial(tab.delete_message, newest(conversation)) for tab in tabs])
            assert statuses(responses) in ([200, 200], [200, 404])
            assert [event for _, event, _ in published].count("message.deleted") == 1
            assert conversation.messages.count() == 2
            check(conversation)

    def test_two_versions(self, tabs, twice):
        """Both go; the question is left."""
        for _ in range(ROUNDS):
            conversation = twice()
            answers = conversation.messages.filter(role="assistant")
            responses = at_once(*[partial(tabs[0].delete_message, answer) for answer in answers])
            assert statuses(responses) == [200, 200]
            conversation.refresh_from_db()
            assert conversation.leaf_id == newest(conversation, "user").pk

    def test_while_the_answer_below_it_is_written(self, tabs, answered):
        conversation = answered()
        tabs[1].send(conversation)
        for message in conversation.messages.all():
            assert tabs[0].delete_message(message).status_code == 409
        assert conversation.messages.count() == 4
        check(conversation)

    @pytest.mark.parametrize("name", ["show", "regenerate", "edit"])
    def test_what_comes_too_late(self, tabs, twice, echo, name):
        """A version that is not shown goes while another tab does something with it."""
        conversation = twice()
        old = conversation.messages.filter(role="assistant").select_related("conversation__owner", "generation").first()
        calls = {
            "show": partial(show_branch, old),
            "regenerate": partial(regenerate, old, echo),
            "edit": partial(edit_question, old, Question(content="Other words", assistant=echo, key=uuid.uuid4())),
        }
        tabs[0].delete_message(old)
        with pytest.raises(MessageGoneError):
            calls[name]()
        check(conversation)


class TestRename:
    def test_while_a_question_is_sent(self, tabs, answered, published):
        """Neither takes back what the other did, and the list ends with the new title."""
        for _ in range(ROUNDS):
            published.clear()
            conversation = answered()
            rename = partial(tabs[0].post, "rename", conversation.pk, title="A better title")
            responses = at_once(rename, partial(tabs[1].send, conversation))
            assert statuses(responses) == [200, 201]
            check(conversation)
            assert conversation.title == "A better title"
            assert conversation.leaf_id == newest(conversation).pk

    def test_what_was_read_before_is_not_written_back(self, answered, echo):
        conversation = answered()
        stale = Conversation.objects.get()
        start_generation(conversation, Question(content="Next", assistant=echo, key=uuid.uuid4()))
        rename_conversation(stale, "A better title")
        check(conversation)
        assert conversation.leaf_id == newest(conversation).pk

    def test_a_title_that_was_read_before_is_not_told(self, answered, echo, published):
        conversation = answered()
        rename_conversation(Conversation.objects.get(), "A better title")
        published.clear()
        start_generation(conversation, Question(content="Next", assistant=echo, key=uuid.uuid4()))
        cancel_generation(newest(conversation).generation)
        titles = {data["title"] for _, event, data in published if event == "conversation.updated"}
        assert titles == {"A better title"}

    def test_while_the_first_answer_is_written(self, tabs, ask, scripted, runner, published):
        conversation = ask(scripted, "forever").message.conversation
        runner.wake()
        until(DraftPiece.objects.exists)
        assert tabs[0].post("rename", conversation.pk, title="A better title").status_code == 200
        cancel_generation(Generation.objects.get())
        conversation.refresh_from_db()
        assert conversation.title == "A better title"
        last = [data for _, event, data in published if event == "conversation.updated"][-1]
        assert (last["title"], last["running"]) == ("A better title", False)


class TestPeople:
    def test_deactivation_ends_what_is_written_for_them(
        self, alice, charlie, ask, scripted, runner, published, settings
    ):
        """Also what waits; the text is kept, and words say why it ends there."""
        settings.CHAT_MAX_RUNNING = 1
        streaming, waiting = ask(scripted, "forever"), ask(scripted, "forever")
        other = start_conversation(charlie, Question(content="forever", assistant=scripted, key=uuid.uuid4()))
        runner.wake()
        until(lambda: DraftPiece.objects.filter(message=streaming.pk).exists())
        assert end_answers_of_the_deactivated() == 0
        alice.is_active = False
        alice.save()
        assert sorted(at_once(end_answers_of_the_deactivated, end_answers_of_the_deactivated)) in ([0, 2], [1, 1])
        until(lambda: Generation.objects.running().filter(pk=other.pk).exists(), 3)
        ended = Generation.objects.select_related("message").in_bulk([streaming.pk, waiting.pk])
        assert {(row.status, row.finish_reason) for row in ended.values()} == {(Status.CANCELLED, "deactivated")}
        assert ended[streaming.pk].message.content.startswith("0 ")
        assert {data["finish_reason"] for _, event, data in published if event == "message.finished"} == {"deactivated"}
        alice.is_active = True
        alice.save()
        page = Tab(alice).client.get(streaming.message.conversation.get_absolute_url()).content.decode()
        assert "your account was deactivated" in page
        assert "You cancelled" not in page

    def test_who_was_deactivated_sends_nothing(self, alice, tabs, answered):
        conversation = answered()
        type(alice).objects.update(is_active=False)
        assert tabs[0].send(conversation).status_code == 302
        assert conversation.messages.count() == 2

    def test_the_answer_goes_on_after_log_out(self, alice, ask, echo):
        tab = Tab(alice)
        conversation = ask(echo, "one two three").message.conversation
        claimed = claim_one("worker")
        tab.client.post(reverse("account_logout"))
        assert tab.client.get(conversation.get_absolute_url()).status_code == 302
        write(claimed)
        again = Client()
        assert again.login(username="alice", password=PASSWORD)
        assert again.get(conversation.get_absolute_url()).content.decode().count("one two three") >= 2

    def test_a_new_password_keeps_the_session_that_set_it(self, alice):
        here, elsewhere = Tab(alice), Tab(alice)
        password = "another-long-password"
        data = {"oldpassword": PASSWORD, "password1": password, "password2": password}
        assert here.client.post(reverse("account_change_password"), data).status_code == 302
        assert here.client.get(reverse("chat:home")).status_code == 200
        assert elsewhere.client.get(reverse("chat:home")).status_code == 302


class TestAssistant:
    def deactivate(self, assistant, alice) -> None:
        assistant.is_active = False
        assistant.save()

    def take_away(self, assistant, alice) -> None:
        assistant.groups.add(Group.objects.create(name="others"))

    def delete(self, assistant, alice) -> None:
        assistant.delete()

    @pytest.mark.parametrize("how", ["deactivate", "take_away", "delete"])
    def test_what_it_writes_is_written_to_its_end(self, alice, tabs, ask, echo, no_runner, how):
        """And the next question is refused with words."""
        conversation = ask(echo, "one two three").message.conversation
        claimed = claim_one("worker")
        getattr(self, how)(echo, alice)
        write(claimed)
        ended = Generation.objects.select_related("message").get()
        assert (ended.status, ended.message.content) == (Status.COMPLETED, "one two three")
        refused = tabs[0].send(conversation)
        assert refused.status_code == 422
        assert "not there any more" in refused.json()["errors"]["assistant"][0]
        assert tabs[0].edit(newest(conversation, "user")).status_code == 422
        assert tabs[0].regenerate(newest(conversation)).status_code == 422
        form = {"content": "My long text", "key": uuid.uuid4(), "assistant": "echo"}
        page = tabs[0].client.post(reverse("chat:messages", args=[conversation.pk]), form).content.decode()
        assert "My long text" in page
        assert conversation.messages.count() == 2

    def test_also_what_waits(self, alice, ask, echo):
        ask(echo, "one two three")
        self.delete(echo, alice)
        write(claim_one("worker"))
        assert Generation.objects.get().status == Status.COMPLETED

    @pytest.mark.parametrize("name", ["home", "send", "edit", "regenerate"])
    def test_deleted_while_the_request_is_on_its_way(self, tabs, answered, echo, monkeypatch, name):
        conversation = answered()
        answer, question = newest(conversation), newest(conversation, "user")
        before_transaction(monkeypatch, type(echo).objects.all().delete)
        form = {"content": "Hello", "key": uuid.uuid4(), "assistant": "echo"}
        refused = {
            "home": lambda: tabs[0].post("home", **form),
            "send": lambda: tabs[0].send(conversation),
            "edit": lambda: tabs[0].edit(question),
            "regenerate": lambda: tabs[0].regenerate(answer),
        }[name]()
        assert refused.status_code == 422
        assert "not there any more" in refused.json()["errors"]["__all__"][0]
        assert Message.objects.count() == 2


def test_continued_while_its_backend_is_closed(ask, scripted, monkeypatch):
    """The next run is another one: it is kept alive, and nothing that the first one still says is stored."""

    async def stream(self, request):
        try:
            while True:
                yield TextDelta("first " if len(request.messages) == 1 else "second ")
                await asyncio.sleep(0.01)
        finally:
            await asyncio.sleep(0.3)

    monkeypatch.setattr(ScriptedBackend, "stream", stream)
    runner = Runner()
    generation = ask(scripted, "Hello")
    runner.wake()
    try:
        until(lambda: DraftPiece.objects.filter(message=generation.pk).exists())
        cancel_generation(Generation.objects.get())
        runner.cancel(generation.pk)
        continue_generation(Message.objects.select_related("conversation__owner", "generation").get(pk=generation.pk))
        runner.wake()
        until(lambda: DraftPiece.objects.filter(message=generation.pk, text__contains="second").exists())
        time.sleep(0.5)  # the first one is closed
        heartbeat = Generation.objects.get().heartbeat_at
        until(lambda: Generation.objects.get().heartbeat_at > heartbeat)
        row = Generation.objects.get()
        assert row.status == Status.IN_PROGRESS
        cancel_generation(row)
        text = Message.objects.get(pk=generation.pk).content
        assert "second first" not in text
    finally:
        runner.stop()


def test_the_round_ends_what_is_written_for_the_deactivated(alice, ask, scripted):
    runner = Runner()
    ask(scripted, "forever")
    runner.wake()
    try:
        until(DraftPiece.objects.exists)
        User.objects.update(is_active=False)
        until(lambda: ScriptedBackend.open == 0, 3)
        assert Generation.objects.get().finish_reason == "deactivated"
    finally:
        runner.stop()


class TestBounds:
    """Long work has bounds: so many unfinished answers for a person, and for the site."""

    def test_the_last_place_is_given_once(self, tabs, echo, no_runner, settings):
        settings.CHAT_MAX_UNFINISHED_PER_USER = 2
        for _ in range(ROUNDS):
            form = {"content": "Hello", "assistant": "echo"}
            calls = [partial(tab.post, "home", key=uuid.uuid4(), **form) for tab in tabs * 2]
            assert statuses(at_once(*calls)) == [201, 201, 429, 429]
            for generation in Generation.objects.unfinished():
                cancel_generation(generation)

    @pytest.mark.parametrize(
        ("setting", "status", "words"),
        [
            ("CHAT_MAX_UNFINISHED_PER_USER", 429, "Many of your answers are still being written."),
            ("CHAT_MAX_UNFINISHED", 503, "The site is very busy."),
        ],
    )
    @pytest.mark.parametrize("name", ["home", "send", "edit", "regenerate", "resume"])
    def test_it_holds_for_all_that_is_written(self, tabs, answered, ask, echo, settings, setting, status, words, name):
        conversation = answered()
        answer, question = newest(conversation), newest(conversation, "user")
        running = ask(echo, "Elsewhere")
        setattr(settings, setting, 1)
        form = {"content": "Hello", "assistant": "echo"}
        call = {
            "home": lambda: tabs[0].post("home", key=uuid.uuid4(), **form),
            "send": lambda: tabs[0].send(conversation),
            "edit": lambda: tabs[0].edit(question),
            "regenerate": lambda: tabs[0].regenerate(answer),
            "resume": lambda: tabs[0].resume(answer),
        }[name]
        refused = call()
        assert refused.status_code == status
        assert words in refused.json()["errors"]["__all__"][0]
        assert Message.objects.count() == 4
        cancel_generation(running)
        assert call().status_code == 201

    def test_the_site_is_full_of_others(self, charlie, tabs, echo, no_runner, settings):
        settings.CHAT_MAX_UNFINISHED = 1
        start_conversation(charlie, Question(content="Hello", assistant=echo, key=uuid.uuid4()))
        form = {"content": "My long text", "key": uuid.uuid4(), "assistant": "echo"}
        refused = tabs[0].client.post(reverse("chat:home"), form)
        assert refused.status_code == 503
        page = refused.content.decode()
        assert "The site is very busy. Try again in a moment." in page
        assert "My long text" in page
