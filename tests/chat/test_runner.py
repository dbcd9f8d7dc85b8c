"""The thread that runs the queued answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from chat import pieces
from chat.generation import cancel_generation
from chat.models import DraftPiece, Generation, Message, Status
from chat.queue import DeathWatch
from chat.rounds import Rounds
from chat.runner import Runner
from chat.writing import build_request
from tests.fakes import ScriptedBackend, claim_one
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.stop()


def status() -> str:
    return Generation.objects.get().status


def test_it_works(runner, ask, echo):
    ask(echo, "Hello")
    runner.wake()
    until(lambda: status() == Status.COMPLETED)
    assert Generation.objects.get().worker == runner.name
    assert Message.objects.get(role="assistant").content == "Hello"


def test_it_finds_what_another_process_queued(runner, ask, echo):
    runner.wake()
    ask(echo, "Hello")
    until(lambda: status() == Status.COMPLETED)


def test_it_runs_several_at_once(runner, ask, scripted):
    generations = [ask(scripted, "forever") for _ in range(5)]
    pks = [generation.pk for generation in generations]
    runner.wake()
    until(lambda: len(pieces.texts(pks)) == 5)
    for generation in generations:
        cancel_generation(generation)
        runner.cancel(generation.pk)
    until(lambda: ScriptedBackend.open == 0)


def test_it_runs_no_more_than_it_may(runner, ask, scripted, settings):
    settings.CHAT_MAX_RUNNING = 1
    first, second = ask(scripted, "forever"), ask(scripted, "forever")
    runner.wake()
    until(lambda: ScriptedBackend.open == 1)
    assert Generation.objects.queued().count() == 1
    cancel_generation(first)
    runner.cancel(first.pk)
    until(lambda: Generation.objects.running().filter(pk=second.pk).exists())


def test_cancel_closes_the_backend_at_once(runner, ask, scripted):
    generation = ask(scripted, "forever")
    runner.wake()
    until(lambda: ScriptedBackend.open == 1)
    cancel_generation(generation)
    runner.cancel(generation.pk)
    until(lambda: ScriptedBackend.open == 0, 2)
    assert status() == Status.CANCELLED


def test_an_answer_deleted_meanwhile_stops(runner, ask, scripted):
    generation = ask(scripted, "forever")
    runner.wake()
    until(lambda: ScriptedBackend.open == 1)
    generation.message.conversation.delete()
    until(lambda: ScriptedBackend.open == 0, 5)


def test_stop_interrupts_what_does_not_end(runner, ask, scripted):
    ask(scripted, "forever")
    runner.wake()
    until(DraftPiece.objects.exists)
    runner.stop()
    stopped = Generation.objects.get()
    assert (stopped.status, stopped.finish_reason) == (Status.INCOMPLETE, "interrupted")
    assert stopped.message.content.startswith("0")
    assert ScriptedBackend.open == 0


def test_stop_lets_short_answers_end(runner, ask, echo):
    ask(echo, "one two three")
    runner.wake()
    until(lambda: Generation.objects.queued().count() == 0)
    runner.stop()
    assert status() == Status.COMPLETED


def test_it_reaps_what_a_dead_process_left(runner, ask, echo):
    generation = ask(echo, "Hello")
    long_ago = timezone.now() - timedelta(minutes=1)
    Generation.objects.filter(pk=generation.pk).update(
        status=Status.IN_PROGRESS, worker="elsewhere:1:dead", heartbeat_at=long_ago
    )
    runner.wake()
    until(lambda: status() == Status.INCOMPLETE)


def test_who_cannot_look_calls_nobody_dead(ask, echo, monkeypatch):
    """While the database is away, or full, the living can give no sign either."""
    ask(echo, "Hello")
    claim_one("elsewhere:1:alive")
    watch = DeathWatch()
    assert watch.reap(0.05) == 0
    time.sleep(0.06)
    assert watch.reap(0.05) == 0

    def refuse(*args, **values):
        raise OperationalError("database or disk is full")

    monkeypatch.setattr("chat.queue.end_generation", refuse)
    with pytest.raises(OperationalError):
        watch.reap(0)
    monkeypatch.undo()
    assert watch.reap(0.05) == 0
    assert status() == Status.IN_PROGRESS


def test_an_answer_waits_for_the_database_to_begin(runner, ask, echo, monkeypatch):
    away = [OperationalError("the server closed the connection")]

    def build(generation):
        if away:
            raise away.pop()
        return build_request(generation)

    monkeypatch.setattr("chat.writing.build_request", build)
    ask(echo, "Hello")
    runner.wake()
    until(lambda: status() == Status.COMPLETED)


def test_it_keeps_long_answers_alive(runner, ask, scripted, settings):
    ask(scripted, "forever")
    runner.wake()
    until(lambda: ScriptedBackend.open == 1)
    first = Generation.objects.get().heartbeat_at
    until(lambda: Generation.objects.get().heartbeat_at > first)
    assert status() == Status.IN_PROGRESS


def test_answers_live_on_where_the_rounds_come_late(runner, ask, scripted, settings, monkeypatch):
    """Another process would take them for dead otherwise."""
    settings.CHAT_HEARTBEAT_INTERVAL = 0.2
    ask(scripted, "forever")
    runner.wake()
    until(lambda: ScriptedBackend.open == 1)
    held = threading.Event()
    make = Rounds.make
    monkeypatch.setattr(Rounds, "make", lambda *args: held.wait(10) and make(*args))
    try:
        signs = set()
        until(lambda: signs.add(Generation.objects.get().heartbeat_at) or len(signs) > 3)
    finally:
        held.set()
    assert status() == Status.IN_PROGRESS


def test_answers_live_on_while_the_process_stops(runner, ask, scripted, settings):
    settings.CHAT_HEARTBEAT_INTERVAL = 0.2
    settings.CHAT_SHUTDOWN_GRACE = 30
    generation = ask(scripted, "forever")
    runner.wake()
    until(lambda: ScriptedBackend.open == 1)
    stopping = threading.Thread(target=runner.stop)
    stopping.start()
    try:
        until(lambda: runner._stopping)
        signs = set()
        until(lambda: signs.add(Generation.objects.get().heartbeat_at) or len(signs) > 3)
        assert status() == Status.IN_PROGRESS
    finally:
        cancel_generation(generation)
        runner.cancel(generation.pk)
        stopping.join(10)
    assert not stopping.is_alive()
