"""What people may change of an assistant's parameters, and that it reaches the backend."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from chat.generation import cancel_generation, continue_generation, regenerate
from chat.models import Assistant, Conversation, Generation
from chat.parameters import PARAMETERS
from chat.writing import run_generation
from tests.chat.test_admin import admin_page, assistant_form  # noqa: F401 - a fixture
from tests.fakes import ScriptedBackend, claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}
ALL = list(PARAMETERS)


@pytest.fixture
def open_one(scripted) -> Assistant:
    """An assistant of which everything may be changed."""
    scripted.adjustable = ALL
    scripted.temperature = 0.7
    scripted.max_output_tokens = 500
    scripted.save()
    return scripted


def sending(**data):
    return {"content": "length", "key": str(uuid.uuid4()), "assistant": "scripted", **data}


def start(client, **data):
    return client.post(reverse("chat:home"), sending(**data), **JSON)


def send(client, **data):
    url = reverse("chat:messages", args=[Conversation.objects.get().pk])
    return client.post(url, sending(**data), **JSON)


def finish() -> Generation:
    claimed = claim_one("this-worker")
    asyncio.run(run_generation(claimed))
    return Generation.objects.get(pk=claimed.pk)


def newest() -> Generation:
    return Generation.objects.order_by("-pk").first()


def test_it_works(alice_client, open_one):
    Assistant.objects.update(stop=["END"])
    values = {"temperature": "1.3", "top_p": "0.5", "max_output_tokens": "90", "seed": "7"}
    assert start(alice_client, **values).status_code == 201
    chosen = {"temperature": 1.3, "top_p": 0.5, "max_output_tokens": 90, "seed": 7}
    assert Conversation.objects.get().parameters == chosen
    assert newest().parameters == chosen | {"stop": ["END"]}
    finish()
    asked = ScriptedBackend.requests[-1]
    assert (asked.temperature, asked.top_p, asked.max_output_tokens, asked.seed) == (1.3, 0.5, 90, 7)
    assert asked.stop == ("END",)


def test_what_is_empty_is_the_assistants(alice_client, open_one):
    start(alice_client, temperature="", seed="")
    assert Conversation.objects.get().parameters == {}
    assert newest().parameters == {"temperature": 0.7, "max_output_tokens": 500}


def test_zero_is_a_value(alice_client, open_one):
    start(alice_client, temperature="0", seed="0")
    assert newest().parameters == {"temperature": 0, "seed": 0, "max_output_tokens": 500}


def test_what_is_not_allowed_is_ignored(alice_client, open_one):
    Assistant.objects.update(adjustable=["seed"])
    response = start(
        alice_client, temperature="1.9", max_output_tokens="nonsense", system_prompt="Obey", stop="a", seed="3"
    )
    assert response.status_code == 201
    assert newest().parameters == {"temperature": 0.7, "max_output_tokens": 500, "seed": 3}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("temperature", "2.1", "Temperature: at most 2."),
        ("temperature", "-0.1", "Temperature: at least 0."),
        ("temperature", "nan", "Temperature: enter a number."),
        ("temperature", "1e999", "Temperature: enter a number."),
        ("temperature", "warm", "Temperature: enter a number."),
        ("top_p", "0", "Top p: at least 0.01."),
        ("top_p", "1.5", "Top p: at most 1."),
        ("max_output_tokens", "501", "Greatest length: at most 500."),
        ("max_output_tokens", "0", "Greatest length: at least 1."),
        ("max_output_tokens", "1.5", "Greatest length: enter a number."),
        ("seed", "-1", "Seed: at least 0."),
        ("seed", str(2**53), "Seed: at most 9007199254740991."),
        ("seed", "9" * 5000, "Seed: enter a number."),
        ("seed", "3\x00", "Seed: enter a number."),
    ],
)
def test_wrong_values_are_refused_by_name(alice_client, open_one, name, value, words):
    response = start(alice_client, **{name: value})
    assert response.status_code == 422
    assert response.json()["errors"] == {name: [words]}
    assert not Conversation.objects.exists()


def test_without_a_script_they_come_back_with_what_was_typed(alice_client, open_one):
    response = alice_client.post(reverse("chat:home"), sending(temperature="9", seed="4"))
    assert response.status_code == 422
    page = response.content.decode()
    assert '<details class="pop parameters" open>' in page
    assert page.count("Temperature: at most 2.") == 2  # above the field, and at its own
    assert 'value="9"' in page
    assert 'value="4"' in page
    assert ">\nlength</textarea>" in page


def test_the_conversation_remembers(alice_client, open_one):
    start(alice_client, temperature="1.3", seed="7")
    finish()
    page = alice_client.get(Conversation.objects.get().get_absolute_url()).content.decode()
    assert 'name="temperature" value="1.3"' in page
    send(alice_client)  # a page, or a program, that says nothing of them
    assert newest().parameters == {"temperature": 1.3, "seed": 7, "max_output_tokens": 500}
    finish()
    send(alice_client, temperature="")
    assert newest().parameters == {"temperature": 0.7, "seed": 7, "max_output_tokens": 500}
    assert Conversation.objects.get().parameters == {"seed": 7}


def test_another_assistant_keeps_them_for_the_first(alice_client, open_one, echo):
    start(alice_client, temperature="1.3")
    finish()
    send(alice_client, assistant="echo", temperature="1.9")
    assert newest().parameters == {}
    assert Conversation.objects.get().parameters == {"temperature": 1.3}


def test_a_ceiling_that_was_lowered_holds(alice_client, open_one):
    start(alice_client, max_output_tokens="400")
    finish()
    Assistant.objects.update(max_output_tokens=100)
    page = alice_client.get(Conversation.objects.get().get_absolute_url()).content.decode()
    assert 'name="max_output_tokens" value="100"' in page
    send(alice_client)
    assert newest().parameters["max_output_tokens"] == 100


def test_what_is_no_longer_allowed_is_not_used(alice_client, open_one):
    start(alice_client, temperature="1.9")
    finish()
    Assistant.objects.update(adjustable=[])
    send(alice_client)
    assert newest().parameters["temperature"] == 0.7


class TestOtherAnswers:
    def test_the_same_question_again_uses_what_the_page_shows(self, alice_client, open_one):
        start(alice_client, temperature="1.3")
        answer = finish()
        url = reverse("chat:regenerate", args=[Conversation.objects.get().pk, answer.pk])
        form = {"assistant": "scripted", "temperature": "0.2"}
        assert alice_client.post(url, form, **JSON).status_code == 201
        assert newest().parameters["temperature"] == 0.2
        assert Conversation.objects.get().parameters == {"temperature": 0.2}

    def test_it_refuses_wrong_values(self, alice_client, open_one):
        start(alice_client)
        answer = finish()
        url = reverse("chat:regenerate", args=[Conversation.objects.get().pk, answer.pk])
        refused = alice_client.post(url, {"temperature": "3"}, **JSON)
        assert (refused.status_code, refused.json()["errors"]) == (422, {"temperature": ["Temperature: at most 2."]})
        page = alice_client.post(url, {"temperature": "3"})
        assert page.status_code == 422
        assert "Temperature: at most 2." in page.content.decode()
        assert Generation.objects.count() == 1

    def test_without_a_word_it_uses_what_the_conversation_remembers(self, alice_client, open_one):
        start(alice_client, temperature="1.3")
        answer = finish()
        regenerate(answer.message, open_one)
        assert newest().parameters["temperature"] == 1.3

    def test_an_answer_goes_on_as_it_began(self, alice_client, open_one):
        start(alice_client, temperature="1.3")
        answer = finish()
        Conversation.objects.update(parameters={"temperature": 0.1})
        continue_generation(answer.message)
        assert newest().parameters["temperature"] == 1.3

    def test_an_edited_question_remembers(self, alice_client, open_one):
        start(alice_client, seed="7")
        answer = finish()
        url = reverse("chat:edit", args=[Conversation.objects.get().pk, answer.message.parent_id])
        assert alice_client.post(url, sending(content="Other"), **JSON).status_code == 201
        assert newest().parameters["seed"] == 7
        cancel_generation(newest())
        question = newest().message.parent_id
        url = reverse("chat:edit", args=[Conversation.objects.get().pk, question])
        assert alice_client.post(url, sending(content="Another", seed="8"), **JSON).status_code == 201
        assert newest().parameters["seed"] == 8


class TestAdministration:
    def test_they_are_allowed_by_ticking(self, admin_page):  # noqa: F811
        form = assistant_form(adjustable=["temperature", "seed"])
        response = admin_page.client.post(reverse("admin:chat_assistant_add"), form)
        assert response.status_code == 302, response.context["errors"]
        made = Assistant.objects.get()
        assert made.adjustable == ["temperature", "seed"]
        page = admin_page("chat_assistant_change", made.pk)
        assert page.count('type="checkbox" name="adjustable"') == len(PARAMETERS)

    def test_none_is_the_rule(self, admin_page):  # noqa: F811
        admin_page.client.post(reverse("admin:chat_assistant_add"), assistant_form())
        assert Assistant.objects.get().adjustable == []

    @pytest.mark.parametrize("value", [["system_prompt"], "temperature", [1], {"seed": 1}])
    def test_other_names_are_refused(self, echo, value):
        echo.adjustable = value
        with pytest.raises(ValidationError) as error:
            echo.full_clean()
        assert "adjustable" in error.value.message_dict

    def test_the_page_offers_what_is_allowed_only(self, alice_client, open_one, echo):
        Assistant.objects.filter(pk=open_one.pk).update(adjustable=["temperature"])
        page = alice_client.get(reverse("chat:home"), {"assistant": "scripted"}).content.decode()
        assert 'placeholder="Ask Scripted"' in page
        panel = page.split("<chat-parameters")[1].split("</chat-parameters>")[0]
        assert "hidden" not in panel.split(">")[0]
        assert 'name="temperature"' in panel
        assert panel.count(" disabled") == len(PARAMETERS) - 1
        page = alice_client.get(reverse("chat:home"), {"assistant": "echo"}).content.decode()
        assert "hidden" in page.split("<chat-parameters")[1].split(">")[0]


def test_bounds_are_those_of_the_contract(open_one):
    """What people may choose, an administrator may set."""
    for name, parameter in PARAMETERS.items():
        for value in (parameter.minimum, parameter.maximum):
            Assistant._meta.get_field(name).clean(value, open_one)
