"""The life of an answer, from the question to its last status."""

from __future__ import annotations

import asyncio
import uuid
from types import SimpleNamespace

import pytest
from django.db import transaction

from chat import history, pieces
from chat.generation import (
    ConversationBusyError,
    KeyReusedError,
    Question,
    cancel_generation,
    regenerate,
    start_conversation,
    start_generation,
)
from chat.models import Conversation, DraftPiece, Generation, Message, Status
from chat.queue import DeathWatch
from chat.writing import build_request, run_generation
from tests.fakes import ScriptedBackend, claim_one

pytestmark = pytest.mark.django_db(transaction=True)


def run_next() -> Generation:
    """Claim what waits longest and run it to its end."""
    claimed = claim_one("this-worker")
    assert claimed is not None
    asyncio.run(run_generation(claimed))
    return Generation.objects.select_related("message__conversation").get(pk=claimed.pk)


def question(assistant, content, key=None):
    return Question(content=content, assistant=assistant, key=key or uuid.uuid4())


def test_it_works(alice, echo, published):
    start_conversation(alice, question(echo, "Hello dear site"))
    done = run_next()
    conversation = Conversation.objects.get()
    asked, answered = Message.objects.all()
    assert (asked.role, asked.content) == ("user", "Hello dear site")
    assert (answered.role, answered.content, answered.parent) == ("assistant", "Hello dear site", asked)
    assert conversation.leaf == answered
    assert conversation.title == "Hello dear site"
    assert (done.status, done.finish_reason) == (Status.COMPLETED, "stop")
    assert (done.input_tokens, done.output_tokens) == (3, 3)
    assert done.queued_at <= done.started_at <= done.first_delta_at <= done.finished_at
    kinds = [event for channel, event, _ in published if channel.startswith("conversation-")]
    assert kinds[:2] == ["message.created", "message.created"]
    assert kinds[-1] == "message.finished"
    assert set(kinds[2:-1]) == {"message.delta"}


def test_events_add_up_to_the_stored_text(ask, scripted, published):
    ask(scripted, "markdown please")
    done = run_next()
    text = ""
    for _, event, data in published:
        if event == "message.delta":
            assert data["offset"] == len(text)
            text += data["text"]
    assert text == done.message.content
    assert text.startswith("# Title")


def test_text_is_stored_before_it_is_published(ask, echo, published, monkeypatch):
    stored_when_published = []
    from chat import events

    collect = events.publish_all

    def check(messages):
        messages = list(messages)
        for _, event, data in messages:
            if event == "message.delta":
                conversation = Conversation.objects.get()
                stored = history.branch(conversation, data["message"], 1)[0].content
                stored_when_published.append(stored.endswith(data["text"]))
        collect(messages)

    monkeypatch.setattr(events, "publish_all", check)
    ask(echo, "a b c")
    run_next()
    assert stored_when_published
    assert all(stored_when_published)


def test_cost_is_counted_at_the_price_of_the_assistant(ask, echo):
    echo.input_price, echo.output_price = 1_000, 2_000
    echo.save()
    ask(echo, "one two")
    assert float(run_next().cost) == pytest.approx((2 * 1_000 + 2 * 2_000) / 1_000_000)


def test_same_key_sends_once(alice, echo):
    sent = question(echo, "Hello")
    first = start_conversation(alice, sent)
    assert start_conversation(alice, sent) == first
    again = question(echo, "And again")
    second = start_generation_after(first, again)
    assert start_generation_after(first, again) == second
    assert Message.objects.count() == 4


def start_generation_after(generation, sent):
    Generation.objects.filter(pk=generation.pk).update(status=Status.COMPLETED)
    conversation = Conversation.objects.get(pk=generation.message.conversation_id)
    return start_generation(conversation, sent)


def test_same_key_with_another_text_is_refused(alice, echo):
    key = uuid.uuid4()
    start_conversation(alice, question(echo, "Hello", key))
    with pytest.raises(KeyReusedError):
        start_conversation(alice, question(echo, "Good bye", key))


def test_a_strangers_key_is_not_found(alice, charlie, echo):
    sent = question(echo, "Hello")
    start_conversation(alice, sent)
    with pytest.raises(Exception, match=r"(?i)unique"):
        start_conversation(charlie, sent)
    assert not Conversation.objects.owned_by(charlie).exists()


def test_it_waits_for_the_answer_before(ask, echo, conversation):
    with pytest.raises(ConversationBusyError):
        start_generation(conversation, question(echo, "Quick"))
    assert conversation.messages.count() == 2


def test_two_tabs_at_once_make_one_branch(alice, echo, conversation):
    cancel_generation(Generation.objects.get())
    seen_by_both = [Conversation.objects.get(pk=conversation.pk) for _ in range(2)]
    start_generation(seen_by_both[0], question(echo, "first"))
    with pytest.raises(ConversationBusyError):
        start_generation(seen_by_both[1], question(echo, "second"))
    assert not Message.objects.filter(content="second").exists()


def test_regenerate_makes_a_branch(ask, echo, scripted):
    first = ask(echo, "Hello")
    run_next()
    conversation = Conversation.objects.get()
    second = regenerate(Message.objects.select_related("conversation", "generation").get(pk=first.pk), scripted)
    conversation.refresh_from_db()
    assert conversation.leaf_id == second.pk
    assert second.message.parent_id == first.message.parent_id
    assert Message.objects.get(pk=first.pk).content == "Hello"
    family = history.siblings(conversation, [second.message])
    assert family == {second.pk: [first.pk, second.pk]}


def test_regenerate_waits_for_the_answer(ask, echo):
    running = ask(echo, "Hello")
    with pytest.raises(ConversationBusyError):
        regenerate(running.message, echo)


def test_cancel_wins_over_finish(ask, echo):
    ask(echo, "Hello")
    claimed = claim_one("this-worker")
    assert cancel_generation(claimed)
    asyncio.run(run_generation(claimed))
    cancelled = Generation.objects.get()
    assert cancelled.status == Status.CANCELLED
    assert cancelled.finish_reason == ""


def test_finish_wins_over_cancel(ask, echo):
    ask(echo, "Hello")
    done = run_next()
    assert not cancel_generation(done)
    assert Generation.objects.get().status == Status.COMPLETED


def test_cancel_in_another_process_closes_the_backend(ask, scripted):
    ask(scripted, "forever")
    claimed = claim_one("this-worker")

    async def cancel_soon():
        task = asyncio.create_task(run_generation(claimed))
        while not await DraftPiece.objects.filter(message=claimed.pk).aexists():
            await asyncio.sleep(0.01)
        await asyncio.to_thread(cancel_generation, claimed)
        await asyncio.wait_for(task, 5)

    asyncio.run(cancel_soon())
    cancelled = Generation.objects.get()
    assert cancelled.status == Status.CANCELLED
    assert cancelled.message.content.startswith("0")
    assert (ScriptedBackend.open, ScriptedBackend.closed) == (0, 1)


@pytest.mark.parametrize(
    ("word", "code", "text"),
    [
        ("fail", "backend_unavailable", ""),
        ("break", "backend_unavailable", "The beginning"),
        ("silent", "stream_interrupted", "no finish"),
        ("crash", "backend_error", "The beginning"),
    ],
)
def test_failure_keeps_the_text_and_says_why(ask, scripted, word, code, text):
    ask(scripted, word)
    failed = run_next()
    assert (failed.status, failed.error_code) == (Status.FAILED, code)
    assert failed.message.content == text
    assert "secret" not in failed.error_detail


def test_backend_gone_from_the_settings_fails_clearly(ask, echo, settings):
    ask(echo, "Hello")
    settings.CHAT_BACKENDS = {}
    assert run_next().error_code == "backend_missing"


def test_length_is_not_complete(ask, scripted):
    ask(scripted, "length")
    cut = run_next()
    assert (cut.status, cut.finish_reason) == (Status.INCOMPLETE, "length")


def test_characters_cut_in_two_are_joined_and_unstorable_ones_replaced(ask, scripted):
    ask(scripted, "halves")
    assert run_next().message.content == "a\U0001f600b\ufffd\ufffdcd\ufffd"


def test_stages_are_published(ask, scripted, published, monkeypatch):
    monkeypatch.setattr("chat.drafts.STAGE_INTERVAL", 0.01)
    ask(scripted, "stages")
    run_next()
    pk = Generation.objects.get().pk
    stages = [data for _, event, data in published if event == "generation.stage"]
    assert stages[0] == {"message": pk, "stage": "queued", "position": 3, "progress": None}
    assert [(data["stage"], data["position"]) for data in stages] == [
        ("queued", 3),
        ("queued", 1),
        ("loading", None),
        ("reading", None),
    ]


def test_interrupted_when_the_process_stops(ask, scripted):
    ask(scripted, "forever")
    claimed = claim_one("this-worker")

    async def stop_soon():
        task = asyncio.create_task(run_generation(claimed))
        while not await DraftPiece.objects.filter(message=claimed.pk).aexists():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stop_soon())
    stopped = Generation.objects.get()
    assert (stopped.status, stopped.finish_reason) == (Status.INCOMPLETE, "interrupted")
    assert stopped.message.content.startswith("0")


def test_stale_answers_are_reaped_with_their_text(ask, echo, published, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("chat.queue.time", SimpleNamespace(monotonic=lambda: clock.now))
    ask(echo, "Hello")
    claimed = claim_one("a-worker-that-died")
    Message.objects.filter(pk=claimed.pk).update(content="The begin")
    pieces.append([(claimed.pk, 9, "ning")])
    watch = DeathWatch()
    assert watch.reap(10) == 0
    clock.now += 6
    assert watch.reap(10) == 0
    clock.now += 6
    assert watch.reap(10) == 1
    reaped = Generation.objects.get()
    assert (reaped.status, reaped.finish_reason) == (Status.INCOMPLETE, "interrupted")
    assert reaped.message.content == "The beginning"
    assert not DraftPiece.objects.exists()
    assert published[-2][1] == "message.finished"


def test_one_worker_claims(ask, echo):
    ask(echo, "Hello")
    assert claim_one("one") is not None
    assert claim_one("two") is None


def test_request_holds_the_branch_without_empty_turns(ask, echo, scripted, alice):
    echo.system_prompt, echo.temperature, echo.stop = "Be brief.", 0.5, ["END"]
    echo.save()
    ask(scripted, "fail")
    run_next()
    start_generation(Conversation.objects.get(), question(echo, "Hello again"))
    request = build_request(claim_one("this-worker"))
    assert [(message.role, message.content) for message in request.messages] == [
        ("system", "Be brief."),
        ("user", "fail"),
        ("user", "Hello again"),
    ]
    assert (request.temperature, request.top_p, request.stop) == (0.5, None, ("END",))


def test_request_is_cut_to_the_newest_messages(ask, echo, settings):
    settings.CHAT_HISTORY_MESSAGES = 3
    ask(echo, "0")
    run_next()
    for number in range(1, 4):
        start_generation(Conversation.objects.get(), question(echo, str(number)))
        run_next()
    start_generation(Conversation.objects.get(), question(echo, "last"))
    request = build_request(claim_one("this-worker"))
    assert [message.content for message in request.messages] == ["3", "3", "last"]


def test_question_and_answer_are_one_transaction(alice, echo):
    with transaction.atomic():
        start_conversation(alice, question(echo, "Hello"))
        transaction.set_rollback(True)
    assert not Message.objects.exists()
    assert not Conversation.objects.exists()
