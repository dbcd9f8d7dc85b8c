"""Shared links: made, opened by strangers, renewed, revoked, and what they never tell."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.urls import reverse
from django.utils import timezone

from chat import sharing
from chat.generation import Question, start_generation
from chat.models import Conversation, Generation, Message, Role, Share, SharedMessage
from chat.retention.deleting import erase_conversation
from chat.writing import run_generation
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}


def finish() -> None:
    asyncio.run(run_generation(claim_one("this-worker")))


@pytest.fixture
def answered(conversation) -> Conversation:
    finish()
    conversation.refresh_from_db()
    return conversation


@pytest.fixture
def link(answered) -> Share:
    return sharing.share_conversation(answered, None)


def ask_more(conversation, echo, content) -> None:
    import uuid

    start_generation(conversation, Question(content=content, assistant=echo, key=uuid.uuid4()))
    finish()
    conversation.refresh_from_db()


def text(response) -> str:
    return response.content.decode()


class TestShare:
    def test_it_works(self, alice_client, answered, client):
        response = alice_client.post(reverse("chat:share", args=[answered.pk]), {"lasts": "7"})
        assert response.status_code == 302
        share = Share.objects.get()
        assert len(share.token) >= 22  # 128 bits and more
        assert timedelta(days=6) < share.expires_at - timezone.now() <= timedelta(days=7)
        page = alice_client.get(response["Location"])
        assert f"http://testserver/s/{share.token}/" in text(page)
        shown = client.get(share.get_absolute_url())
        assert shown.status_code == 200
        assert text(shown).count("Hello there") == 4  # twice as the title, then question and answer
        assert [(m.role, m.name, m.content) for m in share.messages.all()] == [
            ("user", "", "Hello there"),
            ("assistant", "Echo", "Hello there"),
        ]

    def test_it_answers_in_json_for_the_dialog(self, alice_client, answered):
        url = reverse("chat:share", args=[answered.pk])
        assert "Make a link" in alice_client.get(url, **JSON).json()["html"]
        response = alice_client.post(url, {"lasts": ""}, **JSON)
        assert response.status_code == 201
        share = Share.objects.get()
        assert share.expires_at is None
        assert share.token in response.json()["html"]
        assert "data-made" in response.json()["html"]

    def test_it_refuses_what_it_does_not_offer(self, alice_client, answered):
        response = alice_client.post(reverse("chat:share", args=[answered.pk]), {"lasts": "365"}, **JSON)
        assert response.status_code == 422
        assert response.json()["errors"]["lasts"]
        assert not Share.objects.exists()

    def test_an_answer_without_text_is_not_shared(self, alice_client, conversation):
        Message.objects.filter(role=Role.USER).update(content="")
        response = alice_client.post(reverse("chat:share", args=[conversation.pk]), {})
        assert response.status_code == 422
        assert "There is nothing to share yet." in text(response)
        assert not Share.objects.exists()

    def test_there_is_a_limit(self, alice_client, answered, monkeypatch):
        monkeypatch.setattr(sharing, "MOST_LINKS", 1)
        url = reverse("chat:share", args=[answered.pk])
        assert alice_client.post(url, {}).status_code == 302
        refused = alice_client.post(url, {})
        assert refused.status_code == 422
        assert "Revoke one first." in text(refused)
        sharing.revoke(Share.objects.get())
        assert alice_client.post(url, {}).status_code == 302

    def test_it_checks_ownership(self, charlie_client, answered):
        assert charlie_client.post(reverse("chat:share", args=[answered.pk]), {}).status_code == 404
        assert not Share.objects.exists()

    def test_making_one_deletes_what_expired(self, alice_client, answered, link):
        Share.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        alice_client.post(reverse("chat:share", args=[answered.pk]), {})
        assert not SharedMessage.objects.filter(share=link).exists()


class TestShared:
    def test_it_says_nothing_of_the_owner(self, client, answered, alice):
        Generation.objects.update(parameters={"system_prompt": "Secret prompt"}, cost="12.34", output_tokens=98765)
        link = sharing.share_conversation(answered, None)
        page = text(client.get(link.get_absolute_url()))
        for secret in (alice.username, alice.email, str(answered.pk), "message-", "Secret prompt", "12.34", "98765"):
            assert secret not in page, secret

    def test_it_sets_no_cookie_and_wants_to_be_found_by_nobody(self, client, link):
        response = client.get(link.get_absolute_url())
        assert not response.cookies
        assert response["Referrer-Policy"] == "no-referrer"
        assert response["X-Robots-Tag"] == "noindex, nofollow"
        assert "no-store" in response["Cache-Control"]
        assert '<meta name="robots" content="noindex, nofollow">' in text(response)
        assert "csrfmiddlewaretoken" not in text(response)

    def test_it_is_a_snapshot(self, client, alice_client, answered, link, echo):
        ask_more(answered, echo, "Something later")
        answered.messages.filter(content="Hello there").update(content="Changed")
        Conversation.objects.update(title="Another title")
        page = text(client.get(link.get_absolute_url()))
        assert "Something later" not in page
        assert "Changed" not in page
        assert "Another title" not in page
        alice_client.post(reverse("chat:share_renew", args=[answered.pk, link.pk]))
        page = text(client.get(link.get_absolute_url()))
        assert "Something later" in page
        assert "Another title" in page

    def test_only_the_shown_branch_is_in_it(self, client, answered, alice):
        other = Message.objects.create(conversation=answered, parent=None, role=Role.USER, content="Another branch")
        link = sharing.share_conversation(answered, None)
        assert other.content not in text(client.get(link.get_absolute_url()))

    def test_what_an_answer_says_is_harmless(self, client, answered):
        answered.messages.update(content="<script>alert(1)</script> **bold** [x](javascript:alert(1))")
        link = sharing.share_conversation(answered, None)
        page = text(client.get(link.get_absolute_url()))
        assert "<script>alert" not in page
        assert "javascript:alert" not in page.replace("(javascript:alert(1))", "")
        assert "<strong>bold</strong>" in page

    def test_a_revoked_link_is_gone_at_once(self, client, alice_client, answered, link):
        alice_client.post(reverse("chat:share_revoke", args=[answered.pk, link.pk]))
        response = client.get(link.get_absolute_url())
        assert response.status_code == 410
        assert "This conversation is no longer shared" in text(response)
        assert not SharedMessage.objects.exists()
        link.refresh_from_db()
        assert link.title == ""

    def test_an_expired_link_is_gone(self, client, link):
        Share.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
        assert client.get(link.get_absolute_url()).status_code == 200
        Share.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert client.get(link.get_absolute_url()).status_code == 410

    def test_deleting_the_conversation_ends_its_links(self, client, answered, link):
        erase_conversation(answered)
        assert client.get(link.get_absolute_url()).status_code in {404, 410}

    def test_a_guessed_link_is_not_there(self, client, link):
        response = client.get(reverse("chat:shared", args=[link.token[:-1] + "_"]))
        assert response.status_code == 404
        assert "There is no such shared conversation" in text(response)
        assert response["X-Robots-Tag"]

    def test_a_long_one_has_pages_and_a_constant_number_of_queries(self, client, link, django_assert_num_queries):
        url = link.get_absolute_url()
        with django_assert_num_queries(4):
            client.get(url)
        SharedMessage.objects.bulk_create(
            SharedMessage(share=link, position=number, role=Role.USER, content=f"number {number}")
            for number in range(10, 200)
        )
        with django_assert_num_queries(4):
            page = client.get(url)
        assert "number 57" in text(page)
        assert "number 58" not in text(page)
        assert "number 58" in text(client.get(url, {"page": 2}))

    def test_it_rejects_post(self, client, link):
        assert client.post(link.get_absolute_url()).status_code == 405


class TestRevokeAndRenew:
    def test_strangers_find_nothing(self, charlie_client, answered, link):
        for name in ("chat:share_revoke", "chat:share_renew"):
            assert charlie_client.post(reverse(name, args=[answered.pk, link.pk])).status_code == 404
        link.refresh_from_db()
        assert link.is_live

    def test_revoking_twice_is_harmless(self, alice_client, answered, link):
        url = reverse("chat:share_revoke", args=[answered.pk, link.pk])
        alice_client.post(url)
        first = Share.objects.get().revoked_at
        assert alice_client.post(url, {"from": "list"})["Location"] == reverse("chat:shared_links")
        assert Share.objects.get().revoked_at == first

    def test_what_is_revoked_is_not_renewed(self, alice_client, answered, link):
        sharing.revoke(link)
        response = alice_client.post(reverse("chat:share_renew", args=[answered.pk, link.pk]), **JSON)
        assert response.status_code == 422
        assert "Make a new one" in str(response.json()["errors"])
        assert not SharedMessage.objects.exists()


class TestList:
    def test_it_lists_live_links_only(self, alice_client, charlie_client, answered, link, django_assert_num_queries):
        url = reverse("chat:shared_links")
        with django_assert_num_queries(4):
            assert link.title in text(alice_client.get(url))
        for _ in range(5):
            sharing.share_conversation(answered, None)
        with django_assert_num_queries(4):
            assert text(alice_client.get(url)).count('class="link-title"') == 6
        assert link.title not in text(charlie_client.get(url))
        for share in Share.objects.all():
            sharing.revoke(share)
        assert "You have shared nothing." in text(alice_client.get(url))


class TestSetting:
    def test_off_closes_all_links_and_makes_none(self, settings, client, alice_client, answered, link):
        settings.CHAT_SHARING = "off"
        assert client.get(link.get_absolute_url()).status_code == 404
        assert "switched off" in text(alice_client.post(reverse("chat:share", args=[answered.pk]), {}))
        assert Share.objects.count() == 1
        assert "data-share" not in text(alice_client.get(answered.get_absolute_url()))
        alice_client.post(reverse("chat:share_revoke", args=[answered.pk, link.pk]))
        assert not Share.objects.live().exists()

    def test_signed_in_wants_an_account(self, settings, client, charlie_client, link):
        settings.CHAT_SHARING = "signed-in"
        response = client.get(link.get_absolute_url())
        assert response.status_code == 302
        assert response["Location"].startswith(reverse(settings.LOGIN_URL))
        assert link.title in text(charlie_client.get(link.get_absolute_url()))

    def test_what_means_nothing_is_found_and_opens_nothing(self, settings, client, link):
        settings.CHAT_SHARING = "everybody"
        assert [found.id for found in run_checks(tags=["chat"])] == ["chat.E002"]
        assert client.get(link.get_absolute_url()).status_code == 404


class TestAdmin:
    def test_it_shows_no_text_and_revokes(self, client, staff, link):
        client.force_login(staff)
        url = reverse("admin:chat_share_changelist")
        for page in (client.get(url), client.get(reverse("admin:chat_share_change", args=[link.pk]))):
            assert "alice" in text(page)
            assert link.token not in text(page)
            assert link.title not in text(page)
        client.post(url, {"action": "revoke_selected", "_selected_action": [link.pk]})
        link.refresh_from_db()
        assert not link.is_live
