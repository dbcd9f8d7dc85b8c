"""What a legal hold keeps is erased by nobody: no rule, no owner, no administrator."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from chat import audit
from chat.generation import Question, cancel_generation, edit_question, start_conversation
from chat.models import AuditEntry, Conversation, Generation, Kept, LegalHold, Message, RetentionRule, User
from chat.retention import holds, purging
from chat.retention.deleting import delete_conversations, erase_conversation
from chat.retention.holds import HeldError
from chat.retention.pruning import delete_message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]


def hold(staff, **what) -> LegalHold:
    made = LegalHold(reason="File 12", **what)
    made.full_clean()
    holds.set_hold(made, staff)
    return made


def purge() -> dict[str, int]:
    run = purging.start("test")
    while not purging.step(run).is_over:
        pass
    purging.finish(run)
    return run.counts


def expire():
    Conversation.objects.filter(deleted_at__isnull=False).update(deleted_at=timezone.now() - timedelta(days=99))


@pytest.fixture(params=["person", "conversation"])
def held(request, staff, alice, conversation):
    return hold(staff, **{request.param: alice if request.param == "person" else conversation})


def test_it_works(held, staff, alice, alice_client, conversation):
    """No rule deletes it; its owner's delete hides it, and it stays however long that was ago."""
    RetentionRule.objects.create(kind=Kept.CONVERSATIONS, days=1)
    Conversation.objects.update(updated_at=timezone.now() - timedelta(days=50))
    assert purge() == {}
    delete_conversations(alice, [conversation.pk])
    assert alice_client.get(conversation.get_absolute_url()).status_code == 404
    assert "Hello there" in alice_client.get("/conversations/?view=deleted").content.decode()  # as ever
    expire()
    assert "Hello there" not in alice_client.get("/conversations/?view=deleted").content.decode()  # as ever
    assert purge() == {}
    assert Message.objects.count() == 2
    holds.lift(held, staff)
    assert purge() == {"deleted": 1}
    assert not Message.objects.exists()


def test_the_audit_log_is_told(held, staff, alice):
    assert holds.lift(held, staff)
    assert not holds.lift(held, staff)
    told = [
        (entry.action, entry.actor, entry.target, entry.concerns_id)
        for entry in AuditEntry.objects.filter(action__startswith="hold.").order_by("number")
    ]
    # Not "whose": who is held does not read of it on a page of their own.
    assert told == [("hold.set", "staff", "File 12", None), ("hold.lifted", "staff", "File 12", None)]
    assert list(audit.verify()) == []


def test_nobody_erases_it(held, alice, conversation):
    with pytest.raises(HeldError, match="File 12"):
        erase_conversation(conversation)
    for delete in (conversation.delete, Conversation.objects.all().delete, alice.delete, User.objects.all().delete):
        with pytest.raises(HeldError):
            delete()
    assert Message.objects.count() == 2
    assert Conversation.objects.get().title == "Hello there"


def test_the_admin_refuses_with_words(held, client, staff, alice, conversation):
    client.force_login(staff)
    for model, pk in (("user", alice.pk), ("conversation", conversation.pk)):
        address = reverse(f"admin:chat_{model}_delete", args=[pk])
        for response in (client.get(address), client.post(address, {"post": "yes"})):
            assert "A legal hold keeps this (File 12" in response.content.decode(), model
        form = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
        response = client.post(reverse(f"admin:chat_{model}_changelist"), form)
        assert "A legal hold keeps this (File 12" in response.content.decode(), model
    assert User.objects.filter(pk=alice.pk).exists()
    assert Message.objects.count() == 2


def test_one_that_was_set_a_moment_ago(client, staff, alice, conversation, monkeypatch):
    hold(staff, person=alice)
    monkeypatch.setattr("chat.admin.common.holds_on", lambda things: [])
    client.force_login(staff)
    address = reverse("admin:chat_user_delete", args=[alice.pk])
    response = client.post(address, {"post": "yes"}, follow=True)
    assert "A legal hold keeps this" in response.content.decode()
    assert Message.objects.count() == 2


def test_others_go_as_ever(staff, alice, charlie, conversation, echo):
    other = start_conversation(charlie, Question(content="Bye", assistant=echo, key=uuid.uuid4())).message.conversation
    hold(staff, person=alice)
    delete_conversations(charlie, [other.pk])
    expire()
    assert purge() == {"deleted": 1}
    charlie.delete()


def test_deleted_messages_are_set_aside(held, staff, alice, alice_client, conversation, echo):
    """Its owner sees what they always see; the messages are kept, and go once the hold is lifted."""
    cancel_generation(Generation.objects.get())
    question = Message.objects.get(role="user")
    other = Question(content="In other words", assistant=echo, key=uuid.uuid4())
    answer = edit_question(question, other).message
    cancel_generation(answer.generation)
    assert delete_message(question) == 2
    assert list(conversation.messages.values_list("content", flat=True)) == ["In other words", ""]
    gone = reverse("chat:turn", args=[conversation.pk, question.pk])
    assert alice_client.get(gone).status_code == 404
    hidden = Conversation.objects.get(set_aside_from=conversation)
    assert [message.content for message in hidden.messages.all()] == ["Hello there", ""]
    expire()
    assert purge() == {}
    assert not alice_client.get("/conversations/?view=deleted").context["listing"].rows
    holds.lift(held, staff)
    assert purge() == {"deleted": 1}
    assert Message.objects.count() == 2


class TestAdmin:
    def test_it_works(self, client, staff, alice, conversation):
        client.force_login(staff)
        form = {"person": alice.pk, "conversation": "", "reason": "File 7"}
        response = client.post(reverse("admin:chat_legalhold_add"), form)
        assert response.status_code == 302, response.context["errors"]
        made = LegalHold.objects.get()
        assert made.by == "staff"
        delete_conversations(alice, [conversation.pk])
        page = client.get(reverse("admin:chat_legalhold_change", args=[made.pk])).content.decode()
        address = reverse("admin:held", args=[made.pk, conversation.pk])
        assert address in page
        assert "(deleted by its owner)" in page
        assert "Hello there" in client.get(address).content.decode()
        entry = AuditEntry.objects.get(action="hold.read")
        assert (entry.target_id, entry.detail, entry.concerns_id) == (str(conversation.pk), {"hold": made.pk}, None)
        client.post(
            reverse("admin:chat_legalhold_changelist"), {"action": "lift_selected", "_selected_action": [made.pk]}
        )
        made.refresh_from_db()
        assert made.lifted_by == "staff"
        assert client.get(address).status_code == 404

    @pytest.mark.parametrize("both", [True, False])
    def test_one_of_the_two(self, client, staff, alice, conversation, both):
        client.force_login(staff)
        form = {"person": alice.pk if both else "", "conversation": conversation.pk if both else "", "reason": "x"}
        response = client.post(reverse("admin:chat_legalhold_add"), form)
        assert "one of the two" in response.content.decode()
        assert not LegalHold.objects.exists()

    def test_who_may_read(self, client, staff, alice, conversation):
        made = hold(staff, person=alice)
        helper = User.objects.create_user("helper", password="x", is_staff=True)
        client.force_login(helper)
        address = reverse("admin:held", args=[made.pk, conversation.pk])
        assert client.get(address).status_code == 403
        helper.user_permissions.add(Permission.objects.get(codename="view_others_conversations"))
        assert client.get(address).status_code == 404
        helper.user_permissions.add(Permission.objects.get(codename="view_legalhold"))
        assert client.get(address).status_code == 200

    def test_only_what_it_holds(self, client, staff, alice, charlie, conversation, echo):
        made = hold(staff, conversation=conversation)
        key = uuid.uuid4()
        other = start_conversation(alice, Question(content="Bye", assistant=echo, key=key)).message.conversation
        client.force_login(staff)
        assert client.get(reverse("admin:held", args=[made.pk, other.pk])).status_code == 404

    def test_the_dry_run(self, client, staff, alice, conversation):
        RetentionRule.objects.create(kind=Kept.CONVERSATIONS, days=30)
        Conversation.objects.update(updated_at=timezone.now() - timedelta(days=31))
        client.force_login(staff)
        address = reverse("admin:retention_page")
        response = client.get(address)
        assert next((one.due.kind, one.count) for one in response.context["planned"]) == (Kept.CONVERSATIONS, 1)
        assert "Hello there" in response.content.decode()
        assert Conversation.objects.kept().exists()
        assert "1 thing is gone." in client.post(address, follow=True).content.decode()
        assert not Conversation.objects.kept().exists()

    def test_a_look_is_no_right_to_purge(self, client, conversation):
        RetentionRule.objects.create(kind=Kept.CONVERSATIONS, days=30)
        Conversation.objects.update(updated_at=timezone.now() - timedelta(days=31))
        helper = User.objects.create_user("helper", password="x", is_staff=True)
        client.force_login(helper)
        assert client.get(reverse("admin:retention_page")).status_code == 403
        helper.user_permissions.add(Permission.objects.get(codename="view_retentionrule"))
        page = client.get(reverse("admin:retention_page")).content.decode()
        assert "Hello there" not in page
        assert "Let it go now" not in page
        client.post(reverse("admin:retention_page"))
        assert Conversation.objects.kept().exists()
