"""Moderation: a refused question stays with its writer, a refused answer is replaced, and no text is written down."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid

import pytest
from django.urls import reverse

from backends.moderation import BaseModerator, ModerationError, Verdict
from chat.models import AuditEntry, Conversation, Generation, Message, ModerationFlag, ModerationRule, UsageRecord, User
from chat.moderation import moderating
from chat.moderation.wordlist import AdminWordListModerator
from chat.writing import run_generation
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}
ADMIN = {"BACKEND": "chat.moderation.wordlist.AdminWordListModerator", "CHECKS": ["question", "answer"]}


class Slow(BaseModerator):
    async def check(self, request):
        await asyncio.sleep(60)


class Hanging(BaseModerator):
    """Calculates, and lets nobody else in."""

    may_end = threading.Event()

    async def check(self, request):
        self.may_end.wait(30)
        return Verdict(action="allow")


class Broken(BaseModerator):
    async def check(self, request):
        raise ZeroDivisionError(request.text)


class Unreadable(BaseModerator):
    def refresh(self):
        raise ModerationError("no such file")

    async def check(self, request):
        return Verdict(action="allow")


@pytest.fixture(autouse=True)
def moderation(settings):
    settings.CHAT_MODERATION = {"words": dict(ADMIN)}
    return settings.CHAT_MODERATION


def rule(pattern="apples", action="refuse", **values):
    return ModerationRule.objects.create(name="Fruit", pattern=pattern, action=action, **values)


def send(client, text, assistant, url="/"):
    data = {"content": text, "assistant": assistant.slug, "key": uuid.uuid4()}
    return client.post(url, data, **JSON)


def answer() -> Generation:
    claimed = claim_one("worker")
    asyncio.run(run_generation(claimed))
    return Generation.objects.select_related("message").get(pk=claimed.pk)


class TestQuestions:
    def test_it_works(self, alice, alice_client, echo):
        rule(words="No fruit here.")
        response = send(alice_client, "I like APPLES", echo)
        assert response.status_code == 422
        assert response.json()["errors"]["__all__"] == ["No fruit here."]
        assert not Conversation.objects.exists()
        flag = ModerationFlag.objects.get()
        assert (flag.person, flag.kind, flag.action, flag.rule) == (alice, "question", "refuse", "Fruit")
        entry = AuditEntry.objects.get(action="moderation.refused")
        assert entry.concerns_id == alice.pk
        assert "APPLES" not in str(entry.detail)

    def test_without_a_script_the_text_stays(self, alice_client, echo):
        rule()
        response = alice_client.post("/", {"content": "apples", "assistant": echo.slug, "key": uuid.uuid4()})
        page = response.content.decode()
        assert response.status_code == 422
        assert "\napples</textarea>" in page
        assert "This message cannot be sent. Put it in other words." in page

    def test_later_ones_and_edits_too(self, alice_client, conversation, echo):
        rule()
        answer()
        question = conversation.messages.first()
        for name, *args in (("messages",), ("edit", question.pk)):
            url = reverse(f"chat:{name}", args=[conversation.pk, *args])
            assert send(alice_client, "apples", echo, url).status_code == 422, name
        assert conversation.messages.count() == 2
        assert ModerationFlag.objects.filter(conversation=conversation, message=None).count() == 2

    def test_flagged_ones_are_sent(self, alice_client, echo):
        rule(action="flag")
        data = {"content": "apples", "assistant": echo.slug, "key": uuid.uuid4()}
        for _ in range(2):  # a double click
            assert alice_client.post("/", data, **JSON).status_code == 201
        flag = ModerationFlag.objects.get()
        assert flag.message == Message.objects.get(role="user")
        assert AuditEntry.objects.filter(action="moderation.flagged").count() == 1

    def test_others_are_sent(self, alice_client, echo):
        rule()
        assert send(alice_client, "pears", echo).status_code == 201
        assert not ModerationFlag.objects.exists()

    def test_a_rule_that_is_off(self, alice_client, echo):
        rule(is_active=False)
        assert send(alice_client, "apples", echo).status_code == 201


class TestFailures:
    @pytest.mark.parametrize("moderator", [Slow, Hanging, Broken, Unreadable])
    @pytest.mark.parametrize(("policy", "status"), [("allow", 201), ("refuse", 422)])
    def test_what_happens_is_a_setting(
        self, settings, alice_client, echo, moderator, policy, status, monkeypatch, caplog
    ):
        monkeypatch.setattr(moderating, "GRACE", 0.1)
        entry = {"BACKEND": f"{__name__}.{moderator.__name__}", "ON_FAILURE": policy, "TIMEOUT": 0.1}
        settings.CHAT_MODERATION = {"mine": entry}
        Hanging.may_end.clear()
        began = time.monotonic()
        response = send(alice_client, "my secret", echo)
        assert time.monotonic() - began < 20
        Hanging.may_end.set()
        assert response.status_code == status
        if policy == "refuse":
            assert response.json()["errors"]["__all__"] == ["This cannot be checked at the moment. Try again soon."]
            assert ModerationFlag.objects.get().rule == "failed"
        assert "secret" not in caplog.text

    def test_the_others_still_look(self, settings, alice_client, echo):
        rule()
        settings.CHAT_MODERATION = {"broken": {"BACKEND": f"{__name__}.Broken"}, "words": ADMIN}
        assert send(alice_client, "apples", echo).status_code == 422


class TestAnswers:
    @pytest.fixture(autouse=True)
    def _answers_alone(self, settings):
        settings.CHAT_MODERATION = {"words": {**ADMIN, "CHECKS": ["answer"]}}

    def test_it_works(self, ask, echo, alice_client, published):
        rule(words="No fruit here.")
        ask(echo, "some apples please")
        ended = answer()
        assert (ended.status, ended.finish_reason, ended.error_code) == ("incomplete", "content_filter", "moderated")
        assert ended.message.content == "No fruit here."
        assert not ended.message.pieces.exists()
        told = [data for _, event, data in published if event == "message.finished"]
        assert told[0]["replaced"] is True
        assert told[0]["length"] == len("No fruit here.")
        page = alice_client.get(ended.message.conversation.get_absolute_url()).content.decode()
        assert "No fruit here." in page
        assert "The rules of this site withheld this answer." in page
        flag = ModerationFlag.objects.get()
        assert (flag.kind, flag.message) == ("answer", ended.message)
        assert UsageRecord.objects.get().output_tokens == 3  # it was written, and is counted

    def test_flagged_ones_stay(self, ask, echo):
        rule(action="flag")
        ask(echo, "some apples please")
        ended = answer()
        assert (ended.status, ended.message.content) == ("completed", "some apples please")
        assert ModerationFlag.objects.get().message == ended.message

    def test_by_pieces_the_backend_stops(self, ask, scripted, settings, monkeypatch):
        """A long answer is ended where something is found, not at its end."""
        monkeypatch.setattr(moderating, "PIECE", 10)
        settings.CHAT_BACKENDS = {**settings.CHAT_BACKENDS, "echo": {"BACKEND": f"{__name__}.Endless"}}
        from backends import chat_backends

        chat_backends.reset()
        scripted.backend = "echo"
        scripted.save()
        rule()
        ask(scripted, "go on")
        ended = answer()
        assert ended.error_code == "moderated"
        assert "apples" not in ended.message.content

    def test_what_lies_across_two_pieces_is_found(self, ask, echo, monkeypatch):
        monkeypatch.setattr(moderating, "PIECE", 12)
        rule(pattern="rotten apples")
        ask(echo, "all these rotten apples and pears and plums")
        assert answer().error_code == "moderated"

    def test_what_broke_off_is_looked_at(self, ask, scripted):
        rule(pattern="beginning")
        ask(scripted, "break")
        ended = answer()
        assert ended.error_code == "moderated"
        assert "beginning" not in ended.message.content.lower()

    def test_a_failure_refuses_where_it_is_wanted(self, ask, echo, settings):
        entry = {"BACKEND": f"{__name__}.Slow", "CHECKS": ["answer"], "ON_FAILURE": "refuse", "TIMEOUT": 0.05}
        settings.CHAT_MODERATION = {"slow": entry}
        ask(echo, "some pears please")
        assert answer().message.content == "This cannot be checked at the moment. Try again soon."

    def test_without_moderators_nothing_is_asked(self, ask, echo, settings, monkeypatch):
        settings.CHAT_MODERATION = {}
        monkeypatch.setattr(moderating._loop, "submit", None)
        ask(echo, "some apples please")
        assert answer().status == "completed"

    @pytest.mark.parametrize("checks", ["question", "answer"])
    def test_who_looks_for_nothing_is_not_asked(self, alice_client, ask, echo, settings, monkeypatch, checks):
        settings.CHAT_MODERATION = {"words": {**ADMIN, "CHECKS": [checks]}}
        rule(is_active=False)
        monkeypatch.setattr(moderating._loop, "submit", None)
        assert send(alice_client, "some apples please", echo).status_code == 201
        ask(echo, "some apples please " * 200)
        assert answer().status == "completed"


from backends import BaseChatBackend, TextDelta  # noqa: E402


class Endless(BaseChatBackend):
    async def stream(self, request):
        while True:
            yield TextDelta("more apples ")
            await asyncio.sleep(0.01)


class TestAdmin:
    def test_it_works(self, client, staff, alice_client, echo):
        rule(action="flag")
        send(alice_client, "my secret apples", echo)
        client.force_login(staff)
        address = reverse("admin:chat_moderationflag_changelist")
        page = client.get(address).content.decode()
        assert "Fruit" in page
        assert "secret" not in page
        flag = ModerationFlag.objects.get()
        client.post(address, {"action": "mark_reviewed", "_selected_action": [flag.pk]})
        flag.refresh_from_db()
        assert flag.reviewed_by == "staff"
        assert AuditEntry.objects.filter(action="moderation.reviewed").count() == 1
        assert "Fruit" not in client.get(address, {"reviewed_at__isempty": 1}).content.decode().split("result_list")[-1]

    def test_who_may_review(self, client, alice_client, echo):
        from django.contrib.auth.models import Permission

        rule(action="flag")
        send(alice_client, "apples", echo)
        helper = User.objects.create_user("helper", password="x", is_staff=True)
        helper.user_permissions.add(Permission.objects.get(codename="view_moderationflag"))
        client.force_login(helper)
        flag = ModerationFlag.objects.get()
        address = reverse("admin:chat_moderationflag_changelist")
        client.post(address, {"action": "mark_reviewed", "_selected_action": [flag.pk]})
        flag.refresh_from_db()
        assert flag.reviewed_at is None

    def test_wrong_patterns(self, client, staff):
        client.force_login(staff)
        form = {"name": "x", "pattern": "(", "is_regex": "on", "action": "flag", "is_active": "on"}
        response = client.post(reverse("admin:chat_moderationrule_add"), form)
        assert "cannot be used" in response.content.decode()
        response = client.post(reverse("admin:chat_moderationrule_add"), {**form, "pattern": r"\d{6}"})
        assert response.status_code == 302
        moderator = AdminWordListModerator()
        moderator.refresh()
        assert moderator._compiled.search("no 123456").rule == "x"
