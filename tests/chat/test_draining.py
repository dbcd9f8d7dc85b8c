"""A backend that is drained takes no new answers, and lets those that it has end."""

from __future__ import annotations

import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from chat.generation import continue_generation, end_generation, regenerate
from chat.models import Drain, Generation, Message, Status
from chat.operation import draining
from chat.queue import claim
from chat.refusals import DrainedError


def message_of(generation: Generation) -> Message:
    return Message.objects.select_related("conversation", "generation").get(pk=generation.pk)


def test_it_works(ask, echo, scripted):
    before = ask(echo, "Hello there")
    draining.drain("echo", by="staff")
    with pytest.raises(DrainedError):
        ask(echo, "Hello again")
    ask(scripted, "length")
    assert before.pk in {claimed.pk for claimed in claim("worker", 5)}  # what was taken in goes on
    assert draining.restore("echo")
    assert not draining.restore("echo")
    ask(echo, "Hello again")


def test_all_backends(ask, echo, scripted):
    draining.drain(Drain.EVERYTHING)
    for assistant in (echo, scripted):
        with pytest.raises(DrainedError):
            ask(assistant, "Hello there")
    assert not Message.objects.exists()


def test_answering_again_and_continuing_are_new_answers(ask, echo):
    generation = ask(echo, "Hello there")
    Message.objects.filter(pk=generation.pk).update(content="The beginning")
    end_generation(generation, Status.INCOMPLETE, finish_reason="length")
    draining.drain("echo")
    with pytest.raises(DrainedError):
        continue_generation(message_of(generation))
    with pytest.raises(DrainedError):
        regenerate(message_of(generation), echo)
    assert Generation.objects.get().status == Status.INCOMPLETE


def test_people_are_told(alice_client, echo):
    draining.drain("echo")
    form = {"content": "Hello there", "key": uuid.uuid4(), "assistant": "echo"}
    refused = alice_client.post(reverse("chat:home"), form, headers={"Accept": "application/json"})
    assert refused.status_code == 503
    assert "being serviced" in refused.json()["errors"]["__all__"][0]


class TestCommand:
    def run(self, *arguments: str) -> str:
        output = StringIO()
        call_command("drain", *arguments, stdout=output)
        return output.getvalue().strip()

    def test_it_works(self, ask, echo):
        ask(echo, "Hello there")
        assert self.run() == "No new answers are taken. 1 are not over yet."
        assert self.run("--restore") == "New answers are taken again."
        assert self.run("--restore") == "It was not drained."

    def test_it_waits_and_says_who_is_late(self, ask, echo):
        generation = ask(echo, "Hello there")
        with pytest.raises(CommandError, match="1 answers are not over yet"):
            self.run("echo", "--wait", "0.01")
        end_generation(generation, Status.COMPLETED)
        assert self.run("echo", "--wait", "5") == "No new answers are taken. 0 are not over yet."

    def test_it_knows_the_backends(self, db):
        with pytest.raises(CommandError, match="no alias 'nobody'"):
            self.run("nobody")
