"""The chat pages as a browser asks for them, with and without JavaScript."""

from __future__ import annotations

import json
import uuid

import pytest
from django.urls import reverse

from chat.generation import cancel_generation
from chat.models import Assistant, Conversation, Generation, Message, Status, User
from chat.writing import run_generation
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}


def sending(content="Hello", assistant="echo", **data):
    return {"content": content, "key": str(uuid.uuid4()), "assistant": assistant, **data}


def finish() -> Generation:
    import asyncio

    claimed = claim_one("this-worker")
    asyncio.run(run_generation(claimed))
    return Generation.objects.get(pk=claimed.pk)


def url(name, conversation, *args):
    return reverse(f"chat:{name}", args=[conversation.pk, *args])


class TestHome:
    def test_it_works(self, alice_client, echo):
        response = alice_client.post(reverse("chat:home"), sending("Hello there"))
        conversation = Conversation.objects.get()
        assert response.status_code == 302
        assert response["Location"] == conversation.get_absolute_url()
        assert [message.content for message in conversation.messages.all()] == ["Hello there", ""]
        assert Generation.objects.get().status == Status.QUEUED

    def test_it_answers_in_json(self, alice_client, echo):
        response = alice_client.post(reverse("chat:home"), sending(), **JSON)
        assert response.status_code == 201
        data = response.json()
        question, answer = Message.objects.all()
        assert data["url"] == Conversation.objects.get().get_absolute_url()
        assert data["messages"] == [question.pk, answer.pk]
        assert f'id="message-{answer.pk}"' in data["html"]

    def test_it_shows_an_empty_page_with_starters(self, alice_client, echo):
        Assistant.objects.update(starters=["What can you do?"])
        page = alice_client.get(reverse("chat:home")).content.decode()
        assert "What can you do?" in page
        assert "Echo" in page

    def test_it_says_what_an_assistant_is(self, alice_client, scripted):
        """Nobody shall take the built-in guide for a model that knows everything."""
        Assistant.objects.create(name="Helper", slug="helper", backend="echo", description="Knows this site only.")
        page = alice_client.get(reverse("chat:home"), {"assistant": "helper"}).content.decode()
        assert '<div data-intro="helper">' in page
        assert '<div data-intro="scripted" hidden>' in page
        assert '<b>Helper</b> <span class="tag">Echo</span>' in page
        assert "<span>Knows this site only.</span>" in page
        assert 'placeholder="Ask Helper"' in page
        assert page.count("<span>Ask anything, or pick up where you left off.</span>") == 1  # of the other one

    def test_the_same_form_twice_sends_once(self, alice_client, echo):
        form = sending()
        first, second = (alice_client.post(reverse("chat:home"), form) for _ in range(2))
        assert first["Location"] == second["Location"]
        assert Message.objects.count() == 2

    def test_a_changed_text_with_the_same_key_is_refused(self, alice_client, echo):
        form = sending()
        alice_client.post(reverse("chat:home"), form)
        assert alice_client.post(reverse("chat:home"), form | {"content": "Other"}, **JSON).status_code == 422

    @pytest.mark.parametrize("content", ["", "   ", "\n\t"])
    def test_it_wants_a_message(self, alice_client, echo, content):
        response = alice_client.post(reverse("chat:home"), sending(content), **JSON)
        assert response.status_code == 422
        assert response.json()["errors"]["content"] == ["Write a message first."]
        assert not Conversation.objects.exists()

    def test_a_megabyte_is_refused_and_comes_back(self, alice_client, echo):
        content = "long " * 200_000
        response = alice_client.post(reverse("chat:home"), sending(content))
        assert response.status_code == 422
        page = response.content.decode()
        assert "1,000,000 characters" in page or "999,999 characters" in page
        assert content.strip() in page
        assert not Message.objects.exists()

    def test_null_bytes_are_refused_and_the_text_comes_back(self, alice_client, echo):
        response = alice_client.post(reverse("chat:home"), sending("be\x00fore"), **JSON)
        assert response.status_code == 422
        assert response.json()["errors"]["content"] == ["Null characters are not allowed."]

    @pytest.mark.parametrize(
        "content",
        [
            "\n\ndata: forged\n\nevent: x",
            "a\u2028b\u2029c",
            "/etc/passwd % ? # .. %2e%2e",
            "<script>alert(1)</script>",
            "안녕하세요 👋🏽 é",
            "{{ 7*7 }} {% debug %}",
            "' OR 1=1 --",
        ],
    )
    def test_any_text_is_kept_to_the_letter(self, alice_client, echo, content):
        alice_client.post(reverse("chat:home"), sending(content))
        finish()
        asked, answered = Message.objects.all()
        assert asked.content == content.strip()
        assert answered.content == content.strip()
        page = alice_client.get(Conversation.objects.get().get_absolute_url()).content.decode()
        assert "<script>alert" not in page
        assert "49" not in asked.content

    def test_text_is_normalised(self, alice_client, echo):
        alice_client.post(reverse("chat:home"), sending("\u1112\u1161\u11ab\r\ne\u0301"))
        assert Message.objects.first().content == "한\né"

    def test_bytes_that_are_no_text_are_replaced(self, alice_client, echo):
        body = f"key={uuid.uuid4()}&assistant=echo&content=a%ed%a0%80b".encode()
        alice_client.post(reverse("chat:home"), body, content_type="application/x-www-form-urlencoded")
        content = Message.objects.first().content
        assert (content[0], content[-1], set(content[1:-1])) == ("a", "b", {"\ufffd"})

    def test_an_assistant_that_is_gone_is_named(self, alice_client, echo):
        response = alice_client.post(reverse("chat:home"), sending(assistant="gone"), **JSON)
        assert response.status_code == 422
        assert "not there any more" in response.json()["errors"]["assistant"][0]

    def test_without_assistants_the_page_says_so(self, alice_client, db):
        assert alice_client.get(reverse("chat:home")).status_code == 200

    def test_it_offers_what_the_user_may_use(self, alice_client, alice, echo, scripted):
        from django.contrib.auth.models import Group

        team = Group.objects.create(name="team")
        scripted.groups.add(team)
        assert "Scripted" not in alice_client.get(reverse("chat:home")).content.decode()
        assert alice_client.post(reverse("chat:home"), sending(assistant="scripted"), **JSON).status_code == 422
        alice.groups.add(team)
        assert "Scripted" in alice_client.get(reverse("chat:home")).content.decode()

    def test_an_assistant_whose_backend_is_gone_is_not_offered(self, alice_client, echo, settings):
        settings.CHAT_BACKENDS = {}
        assert "Echo" not in alice_client.get(reverse("chat:home")).content.decode()
        assert alice_client.post(reverse("chat:home"), sending(), **JSON).status_code == 422


class TestConversation:
    def test_it_works(self, alice_client, conversation):
        finish()
        page = alice_client.get(conversation.get_absolute_url()).content.decode()
        assert page.count("Hello there") >= 3  # title, question, answer
        assert "lastEventId=" in page

    def test_it_says_what_wrote_an_answer(self, alice_client, conversation):
        Generation.objects.update(assistant_name="Helper")
        assert "Helper <small>Echo</small></h2>" in alice_client.get(conversation.get_absolute_url()).content.decode()
        Generation.objects.update(assistant_name="Echo")
        assert "<small>Echo</small></h2>" not in alice_client.get(conversation.get_absolute_url()).content.decode()

    def test_it_is_the_owners(self, charlie_client, conversation):
        assert charlie_client.get(conversation.get_absolute_url()).status_code == 404

    def test_it_asks_to_sign_in(self, client, conversation):
        response = client.get(conversation.get_absolute_url())
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("account_login"))

    def test_it_survives_a_deleted_assistant(self, alice_client, conversation, scripted):
        finish()
        Assistant.objects.get(slug="echo").delete()
        page = alice_client.get(conversation.get_absolute_url())
        assert page.status_code == 200
        assert "Echo" in page.content.decode()

    @pytest.mark.parametrize("word", ["fail", "break", "crash"])
    def test_a_failure_is_told_in_words_with_retry(self, alice_client, ask, scripted, word):
        conversation = ask(scripted, word).message.conversation
        finish()
        page = alice_client.get(conversation.get_absolute_url()).content.decode()
        assert "Try again" in page
        assert "Connection re" not in page  # the backend's own words are for the administrator
        assert "secret" not in page

    def test_an_administrator_reads_the_remedy_too(self, alice, alice_client, ask, scripted):
        alice.is_staff = True
        alice.save()
        conversation = ask(scripted, "fail").message.conversation
        finish()
        assert "Start the server." in alice_client.get(conversation.get_absolute_url()).content.decode()

    def test_it_shows_the_newest_and_links_to_the_earlier(self, alice_client, alice, echo, settings):
        settings.CHAT_PAGE_MESSAGES = 4
        alice_client.post(reverse("chat:home"), sending("number 0"))
        finish()
        conversation = Conversation.objects.get()
        for number in range(1, 5):
            alice_client.post(url("messages", conversation), sending(f"number {number}"))
            finish()
        page = alice_client.get(conversation.get_absolute_url())
        assert [turn.message.content for turn in page.context["turns"]] == ["number 3"] * 2 + ["number 4"] * 2
        earlier = alice_client.get(page.context["earlier_url"])
        assert [turn.message.content for turn in earlier.context["turns"]] == ["number 1"] * 2 + ["number 2"] * 2
        first = alice_client.get(earlier.context["earlier_url"])
        assert [turn.message.content for turn in first.context["turns"]] == ["number 0"] * 2
        assert first.context["earlier_url"] is None

    @pytest.mark.parametrize("before", ["x", "-1", "99999999999999999999999", ""])
    def test_a_wrong_place_is_no_error(self, alice_client, conversation, before):
        response = alice_client.get(conversation.get_absolute_url(), {"before": before})
        assert response.status_code in {200, 404}

    def test_its_queries_do_not_grow(self, alice_client, conversation, django_assert_max_num_queries):
        finish()
        for number in range(10):
            alice_client.post(url("messages", conversation), sending(f"number {number}"))
            finish()
        with django_assert_max_num_queries(15):
            alice_client.get(conversation.get_absolute_url())


class TestMessages:
    def test_it_works(self, alice_client, conversation, echo):
        finish()
        response = alice_client.post(url("messages", conversation), sending("And now?"), **JSON)
        assert response.status_code == 201
        contents = list(conversation.messages.values_list("content", flat=True))
        assert contents == ["Hello there", "Hello there", "And now?", ""]

    def test_it_waits_for_the_answer(self, alice_client, conversation):
        response = alice_client.post(url("messages", conversation), sending("Quick"), **JSON)
        assert response.status_code == 409
        assert "still being written" in response.json()["errors"]["__all__"][0]

    def test_what_was_typed_comes_back_without_javascript(self, alice_client, conversation):
        response = alice_client.post(url("messages", conversation), sending("My long text"))
        assert response.status_code == 409
        assert "My long text" in response.content.decode()

    def test_a_stranger_cannot_send(self, charlie_client, conversation):
        assert charlie_client.post(url("messages", conversation), sending()).status_code == 404
        assert conversation.messages.count() == 2

    def test_the_snapshot(self, alice_client, conversation):
        finish()
        data = alice_client.get(url("messages", conversation)).json()
        assert [(row["role"], row["text"], row["status"]) for row in data["messages"]] == [
            ("user", "Hello there", None),
            ("assistant", "Hello there", "completed"),
        ]
        assert f"conversation-{conversation.pk}:" in data["event_id"]

    def test_a_turn(self, alice_client, conversation):
        answer = finish().message
        page = alice_client.get(url("turn", conversation, answer.pk)).content.decode()
        assert page.strip().startswith("<article")
        assert "Hello there" in page


class TestAnswer:
    def test_cancel(self, alice_client, conversation, no_runner):
        running = Generation.objects.get()
        response = alice_client.post(url("cancel", conversation, running.pk), **JSON)
        assert response.status_code == 204
        assert Generation.objects.get().status == Status.CANCELLED
        assert no_runner == [running.pk]
        assert alice_client.post(url("cancel", conversation, running.pk), **JSON).status_code == 204
        assert no_runner == [running.pk]

    def test_regenerate_by_another_assistant(self, alice_client, conversation, scripted):
        answer = finish()
        form = {"assistant": "scripted"}
        response = alice_client.post(url("regenerate", conversation, answer.pk), form, **JSON)
        assert response.status_code == 201
        newest = Generation.objects.get(status=Status.QUEUED)
        assert newest.backend == "scripted"
        assert response.json()["messages"] == [newest.pk]
        assert f'id="message-{newest.pk}"' in response.json()["html"]
        cancel_generation(newest)
        assert "2 / 2" in " ".join(alice_client.get(conversation.get_absolute_url()).content.decode().split())

    def test_regenerate_while_it_is_written(self, alice_client, conversation):
        running = Generation.objects.get()
        assert alice_client.post(url("regenerate", conversation, running.pk), **JSON).status_code == 409

    def test_regenerate_when_its_assistant_is_gone(self, alice_client, conversation):
        answer = finish()
        Assistant.objects.all().delete()
        assert alice_client.post(url("regenerate", conversation, answer.pk), **JSON).status_code == 422

    def test_a_question_cannot_be_regenerated(self, alice_client, conversation):
        question = conversation.messages.first()
        assert alice_client.post(url("regenerate", conversation, question.pk)).status_code == 404

    def test_branches_are_walked(self, alice_client, conversation, echo):
        first = finish()
        alice_client.post(url("messages", conversation), sending("Follow-up"))
        follow_up = finish()
        alice_client.post(url("regenerate", conversation, first.pk))
        second = finish()
        conversation.refresh_from_db()
        assert conversation.leaf_id == second.pk
        response = alice_client.post(url("show", conversation, first.pk))
        assert response.status_code == 302
        conversation.refresh_from_db()
        assert conversation.leaf_id == follow_up.pk
        shown = alice_client.get(conversation.get_absolute_url()).context["turns"]
        assert [(turn.position, turn.total) for turn in shown] == [(1, 1), (1, 2), (1, 1), (1, 1)]
        assert shown[1].next == second.pk

    def test_ids_of_another_conversation_are_not_found(self, alice_client, charlie_client, charlie, conversation, echo):
        charlie_client.post(reverse("chat:home"), sending("Mine"))
        foreign = Generation.objects.order_by("-pk").first()
        for name in ("turn", "cancel", "regenerate", "show"):
            method = alice_client.get if name == "turn" else alice_client.post
            assert method(url(name, conversation, foreign.pk)).status_code == 404


class TestList:
    def test_rename(self, alice_client, conversation, published):
        response = alice_client.post(url("rename", conversation), {"title": "A better title"}, **JSON)
        assert response.json() == {"title": "A better title"}
        conversation.refresh_from_db()
        assert conversation.title == "A better title"
        event, data = published[-1][1:]
        assert event == "conversation.updated"
        assert (data["conversation"], data["title"], data["running"]) == (str(conversation.pk), "A better title", True)

    @pytest.mark.parametrize("title", ["", "  ", "x" * 201])
    def test_rename_refuses_bad_titles(self, alice_client, conversation, title):
        assert alice_client.post(url("rename", conversation), {"title": title}, **JSON).status_code == 422
        assert alice_client.post(url("rename", conversation), {"title": title}).status_code == 200
        conversation.refresh_from_db()
        assert conversation.title == "Hello there"

    def test_export(self, alice_client, conversation):
        finish()
        response = alice_client.get(url("export", conversation))
        assert response["Content-Type"] == "text/markdown; charset=utf-8"
        assert "hello-there.md" in response["Content-Disposition"]
        text = response.content.decode()
        assert text.startswith("# Hello there\n\n## User, ")
        assert "## Echo, " in text


class TestSetup:
    def link(self):
        from chat.people.accounts import owner_path

        return owner_path()

    def form(self, name="owner"):
        return {
            "username": name,
            "email": "o@example.org",
            "password1": "correct-horse-battery",
            "password2": "correct-horse-battery",
        }

    def test_it_works(self, client, db):
        link = self.link()
        assert client.get(link).status_code == 200
        response = client.post(link, self.form())
        assert response["Location"] == reverse("chat:home")
        owner = User.objects.get()
        assert owner.is_superuser
        assert owner.is_staff
        assert client.get(reverse("admin:index")).status_code == 200

    def test_it_works_once(self, client, db):
        link = self.link()
        client.post(link, self.form())
        assert client.get(link).status_code == 404
        assert client.post(link, self.form("second")).status_code == 404
        assert User.objects.count() == 1

    def test_a_forged_link_is_refused(self, client, db):
        assert client.get(reverse("chat:setup", args=["forged"])).status_code == 404
        assert client.post(reverse("chat:setup", args=["forged"]), self.form()).status_code == 404
        assert not User.objects.exists()

    def test_an_old_link_is_refused(self, client, db, monkeypatch):
        link = self.link()
        monkeypatch.setattr("chat.people.accounts.OWNER_LINK_AGE", -1)
        assert client.get(link).status_code == 404

    def test_weak_passwords_are_refused(self, client, db):
        response = client.post(self.link(), self.form() | {"password1": "short", "password2": "short"})
        assert response.status_code == 422
        assert not User.objects.exists()


def test_wrong_bodies_are_no_server_errors(alice_client, conversation):
    for body in (b"", b"{", b"\xff\xfe", json.dumps({"content": 1}).encode()):
        for content_type in (
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "",
        ):
            response = alice_client.post(url("messages", conversation), body, content_type=content_type)
            assert 400 <= response.status_code < 500


def test_cancelled_answers_say_so(alice_client, conversation):
    cancel_generation(Generation.objects.get())
    assert "You cancelled this answer." in alice_client.get(conversation.get_absolute_url()).content.decode()
