"""How an answer came to be, for who asks for it; and who else can answer."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from chat import pages
from chat.forking import fork_conversation
from chat.generation import regenerate
from chat.models import Conversation, Generation, Message, Status
from chat.writing import run_generation
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}


@pytest.fixture
def answer(echo, ask) -> Message:
    echo.temperature, echo.stop, echo.model = 0.7, ["END"], "echo-1"
    echo.system_prompt = "Our secret prompt"
    echo.input_price = echo.output_price = Decimal("12.5")
    echo.save()
    ask(echo, "one two three four")
    asyncio.run(run_generation(claim_one("this-worker")))
    now = timezone.now()
    Generation.objects.update(
        queued_at=now - timedelta(seconds=5),
        started_at=now - timedelta(seconds=4.5),
        first_delta_at=now - timedelta(seconds=4),
        finished_at=now,
    )
    return Message.objects.select_related("conversation__owner", "generation").get(role="assistant")


def url(message, name="details") -> str:
    return reverse(f"chat:{name}", args=[message.conversation_id, message.pk])


def words(response) -> str:
    html = response.json()["html"] if "json" in response["Content-Type"] else response.content.decode()
    return " ".join(html.split())


class TestDetails:
    def test_it_works(self, alice_client, answer, django_assert_num_queries):
        with django_assert_num_queries(3):  # session, person, answer
            response = alice_client.get(url(answer), **JSON)
        assert response.json()["heading"] == "About this answer"
        text = words(response)
        for fact in (
            "<dd>Echo</dd>",
            "<code>echo-1</code>",
            "<dt>First text after</dt><dd>1.00 s</dd>",
            "<dt>Duration</dt><dd>4.5 s</dd>",
            "<dt>Tokens read</dt><dd>7</dd>",
            "<dt>Tokens written</dt><dd>4</dd>",
            "<dt>Speed</dt><dd>1.0 tokens/s</dd>",
            "<dt>Temperature</dt><dd>0.7</dd>",
            "<dt>Stop</dt><dd>&#x27;END&#x27;</dd>",
            "<dt>End</dt><dd>Completed</dd>",
            "<dt>Cost</dt><dd>0.000138 USD</dd>",
            "data-local",
        ):
            assert fact in text, fact
        assert "secret prompt" not in text

    def test_it_works_without_javascript(self, alice_client, answer):
        assert f'href="{url(answer)}"' in alice_client.get(answer.conversation.get_absolute_url()).content.decode()
        page = words(alice_client.get(url(answer)))
        assert "<h1>About this answer</h1>" in page
        assert f"#message-{answer.pk}" in page

    def test_it_checks_ownership(self, charlie_client, answer):
        assert charlie_client.get(url(answer)).status_code == 404

    def test_it_is_for_looking_only(self, alice_client, answer):
        assert alice_client.post(url(answer)).status_code == 405

    def test_a_question_has_none(self, alice_client, answer):
        assert alice_client.get(url(answer.parent)).status_code == 404

    def test_the_currency_is_a_setting(self, alice_client, answer, settings):
        settings.CHAT_CURRENCY = "KRW"
        assert "0.000138 KRW" in words(alice_client.get(url(answer)))

    @pytest.mark.parametrize(
        ("cost", "shown"), [("0", ""), ("12", "12.00 USD"), ("0.5", "0.50 USD"), ("0.000123", "0.000123 USD")]
    )
    def test_costs_are_shown_to_their_last_digit(self, answer, cost, shown):
        answer.generation.cost = Decimal(cost)
        assert pages.details(answer.generation).cost == shown

    def test_what_is_not_known_is_not_shown(self, alice_client, answer):
        Generation.objects.update(
            status=Status.CANCELLED, cost=0, input_tokens=None, output_tokens=None, first_delta_at=None, started_at=None
        )
        text = words(alice_client.get(url(answer)))
        for name in ("First text", "Duration", "Tokens", "Speed", "Cost"):
            assert f"<dt>{name}" not in text
        assert "You cancelled this answer." in text

    def test_times_of_a_continued_answer_are_those_of_its_last_part(self, alice_client, answer):
        Generation.objects.update(started_at=answer.generation.finished_at - timedelta(seconds=2))
        text = words(alice_client.get(url(answer)))
        assert "<dt>Duration of the last part</dt><dd>2.0 s</dd>" in text
        assert "<dt>Speed" not in text
        assert "<dt>First text" not in text

    def test_a_copy_says_so(self, alice_client, answer):
        fork = fork_conversation(answer)
        text = words(alice_client.get(url(Message.objects.get(conversation=fork, role="assistant"))))
        assert "Copied from another conversation." in text
        assert "<dt>Tokens written</dt><dd>4</dd>" in text
        assert "<dt>Cost" not in text


class TestAnswerAgain:
    def test_it_lists_whom_one_may_ask(self, alice_client, answer, scripted):
        hidden = type(scripted).objects.create(name="Hidden", slug="hidden", backend="echo")
        hidden.groups.add(Group.objects.create(name="others"))
        part = words(alice_client.get(url(answer, "regenerate"), **JSON))
        assert 'value="echo" aria-current="true"' in part
        assert 'value="scripted"' in part
        assert "Hidden" not in part
        assert "Messages leave this server" in part  # of Scripted

    def test_it_works_without_javascript(self, alice_client, answer, scripted):
        page = words(alice_client.get(url(answer, "regenerate")))
        assert f'action="{url(answer, "regenerate")}"' in page
        response = alice_client.post(url(answer, "regenerate"), {"assistant": "scripted"})
        assert response["Location"] == answer.conversation.get_absolute_url()
        assert Generation.objects.unfinished().get().assistant == scripted

    def test_a_failure_that_would_come_again_leads_to_others(self, alice_client, answer):
        """Where the same question would fail in the same way, the notice offers another assistant."""
        page = answer.conversation.get_absolute_url()
        Message.objects.filter(pk=answer.pk).update(content="")
        for code, offered in (("backend_unavailable", "Try again"), ("context_length_exceeded", "Ask another")):
            Generation.objects.update(status=Status.FAILED, error_code=code)
            html = alice_client.get(page).content.decode()
            assert ("Try again</button>" in html) == (offered == "Try again")
            assert offered in html

    def test_the_same_assistant_at_once(self, alice_client, answer, echo, scripted):
        """Whoever is chosen in the composer: it is the answer's own that answers again."""
        Conversation.objects.update(assistant=scripted)
        alice_client.post(url(answer, "regenerate"))
        assert Generation.objects.unfinished().get().assistant == echo

    def test_it_checks_ownership(self, charlie_client, answer):
        assert charlie_client.get(url(answer, "regenerate")).status_code == 404


class TestOneMessage:
    def test_its_text_comes_alone(self, alice_client, answer, django_assert_max_num_queries):
        with django_assert_max_num_queries(8):
            stored = alice_client.get(url(answer, "turn"), **JSON).json()
        assert (stored["id"], stored["text"], stored["status"]) == (answer.pk, "one two three four", "completed")


class TestWalk:
    def test_a_script_gets_the_turns(self, alice_client, answer, echo):
        regenerate(answer, echo)
        asyncio.run(run_generation(claim_one("this-worker")))
        response = alice_client.post(url(answer, "show"), **JSON)
        assert response.status_code == 200
        html = response.json()["html"]
        assert f'id="message-{answer.pk}"' in html
        assert html.count("<article") == 1
        assert 'aria-label="Version 1 of 2"' in html
        assert Conversation.objects.get().leaf_id == answer.pk

    def test_what_is_longer_than_a_page_is_loaded_anew(self, alice_client, answer, echo, settings):
        from chat.generation import start_generation
        from tests.chat.test_generation import question

        start_generation(Conversation.objects.select_related("owner").get(), question(echo, "More"))
        asyncio.run(run_generation(claim_one("this-worker")))
        regenerate(Message.objects.select_related("conversation__owner", "generation").get(pk=answer.pk), echo)
        asyncio.run(run_generation(claim_one("this-worker")))
        settings.CHAT_PAGE_MESSAGES = 2
        response = alice_client.post(url(answer, "show"), **JSON)
        assert response.json() == {"url": answer.conversation.get_absolute_url()}
