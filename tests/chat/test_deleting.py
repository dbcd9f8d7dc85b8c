"""Deleting: hidden at once, restored for a while, purged for good."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from chat.generation import Question, cancel_generation, start_conversation, start_generation
from chat.models import Conversation, DraftPiece, Generation, Message, Status
from chat.pieces import append
from chat.refusals import KeyReusedError
from chat.retention import deleting
from chat.retention.deleting import delete_conversations, erase_conversation, purge_deleted, restore_conversations
from chat.runner import Runner
from tests.fakes import claim_one
from tests.patience import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

JSON = {"headers": {"accept": "application/json"}}
CHANGE = "/conversations/change/"


def url(name, conversation, *args):
    return reverse(f"chat:{name}", args=[conversation.pk, *args])


def expire(seconds=90_000):
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(seconds=seconds))


class TestDelete:
    def test_it_works(self, alice_client, conversation, no_runner, published):
        running = Generation.objects.get()
        assert "for 1 day" in alice_client.get(url("delete", conversation)).content.decode()
        response = alice_client.post(url("delete", conversation))
        assert response["Location"] == "/conversations/?view=deleted"
        conversation.refresh_from_db()
        assert conversation.deleted_at
        running.refresh_from_db()
        assert running.status == Status.CANCELLED
        assert no_runner == [running.pk]
        assert published[-1][1:] == ("conversation.deleted", {"conversation": str(conversation.pk)})

    def test_it_is_nowhere_to_be_found(self, alice, alice_client, staff, client, conversation):
        answer = conversation.leaf_id
        delete_conversations(alice, [conversation.pk])
        for name in ("conversation", "rename", "delete", "export", "messages", "events"):
            assert alice_client.get(url(name, conversation)).status_code == 404, name
        for name in ("turn", "edit"):
            assert alice_client.get(url(name, conversation, answer)).status_code == 404, name
        for name in ("regenerate", "continue", "cancel", "show"):
            assert alice_client.post(url(name, conversation, answer)).status_code == 404, name
        assert str(conversation.pk) not in alice_client.get("/").content.decode()
        client.force_login(staff)
        for model, pk in (("conversation", conversation.pk), ("generation", answer)):
            assert not client.get(reverse(f"admin:chat_{model}_changelist")).context["cl"].result_list
            changed = client.get(reverse(f"admin:chat_{model}_change", args=[pk]))
            assert changed.status_code == 302  # to the index: there is none

    def test_what_was_written_is_kept(self, alice, conversation):
        generation = claim_one("worker")
        append([(generation.pk, 0, "The beginning")])
        deleted = delete_conversations(alice, [conversation.pk])
        assert deleted == ([conversation.pk], [generation.pk])
        assert Message.objects.get(pk=generation.pk).content == "The beginning"
        assert not DraftPiece.objects.exists()

    def test_many_at_once(self, alice, alice_client, ask, echo, no_runner, published, django_assert_max_num_queries):
        conversations = [ask(echo, f"{number}").message.conversation for number in range(10)]
        ids = ",".join(str(conversation.pk) for conversation in conversations)
        published.clear()
        # A few for each answer that is being written, of which a person has few.
        with django_assert_max_num_queries(46):
            response = alice_client.post(CHANGE, {"action": "delete", "conversation": ids}, **JSON)
        assert len(response.json()["changed"]) == len(no_runner) == 10
        assert [event for _, event, _ in published] == ["conversation.deleted"] * 10
        assert not Conversation.objects.kept().exists()

    def test_strangers_delete_nothing(self, charlie, conversation):
        assert delete_conversations(charlie, [conversation.pk]) == ([], [])
        assert Conversation.objects.kept().exists()

    def test_the_same_question_again_is_another_one(self, alice, ask, echo):
        """A browser that sends the first message once more, after it was deleted, is told so and gets a new key."""
        question = Question(content="Hello", assistant=echo, key=uuid.uuid4())
        conversation = start_conversation(alice, question).message.conversation
        delete_conversations(alice, [conversation.pk])
        with pytest.raises(KeyReusedError):
            start_conversation(alice, question)


class TestRestore:
    def test_it_works(self, alice, alice_client, conversation, published):
        delete_conversations(alice, [conversation.pk])
        page = alice_client.get("/conversations/?view=deleted").content.decode()
        assert "Hello there" in page
        assert "can be restored for 1 day" in page
        published.clear()
        response = alice_client.post(CHANGE, {"restore": conversation.pk})
        assert response.status_code == 302
        assert alice_client.get(conversation.get_absolute_url()).status_code == 200
        channel, event, data = published[0]
        assert (channel, event) == (f"user-{alice.pk}", "conversation.restored")
        assert (data["title"], data["running"]) == ("Hello there", False)

    def test_one_can_go_on(self, alice, conversation, echo):
        delete_conversations(alice, [conversation.pk])
        assert restore_conversations(alice, [conversation.pk]) == [conversation.pk]
        restored = Conversation.objects.owned_by(alice).select_related("owner").get()
        generation = start_generation(restored, Question(content="Next", assistant=echo, key=uuid.uuid4()))
        assert generation.status == Status.QUEUED

    def test_many_at_once(self, alice, alice_client, ask, echo):
        ids = [ask(echo, f"{number}").message.conversation_id for number in range(4)]
        delete_conversations(alice, ids)
        data = {"action": "restore", "conversation": ",".join(map(str, ids))}
        assert len(alice_client.post(CHANGE, data, **JSON).json()["changed"]) == 4
        assert Conversation.objects.kept().count() == 4
        assert alice_client.post(CHANGE, data, **JSON).status_code == 404  # they are there

    def test_strangers_restore_nothing(self, alice, charlie, charlie_client, conversation):
        delete_conversations(alice, [conversation.pk])
        assert restore_conversations(charlie, [conversation.pk]) == []
        assert charlie_client.post(CHANGE, {"restore": conversation.pk}).status_code == 404
        assert "Hello there" not in charlie_client.get("/conversations/?view=deleted").content.decode()

    def test_not_when_its_time_is_over(self, alice, alice_client, conversation):
        """What is left of it may be a part."""
        delete_conversations(alice, [conversation.pk])
        expire()
        assert restore_conversations(alice, [conversation.pk]) == []
        assert "Hello there" not in alice_client.get("/conversations/?view=deleted").content.decode()

    def test_where_it_was(self, alice, conversation):
        Conversation.objects.update(is_archived=True)
        before = Conversation.objects.get()
        delete_conversations(alice, [conversation.pk])
        restore_conversations(alice, [conversation.pk])
        after = Conversation.objects.get()
        assert (after.is_archived, after.updated_at, after.leaf_id) == (True, before.updated_at, before.leaf_id)


class TestPurge:
    def test_it_works(self, alice, conversation):
        delete_conversations(alice, [conversation.pk])
        purge_deleted()
        assert Conversation.objects.exists()
        expire()
        purge_deleted()
        assert not Conversation.objects.exists()
        assert not Message.objects.exists()
        assert not Generation.objects.exists()

    def test_what_is_there_stays(self, alice, ask, echo):
        kept, gone = (ask(echo, words).message.conversation for words in ("kept", "gone"))
        delete_conversations(alice, [gone.pk])
        Conversation.objects.filter(pk=gone.pk).update(deleted_at=timezone.now() - timedelta(days=9))
        purge_deleted()
        assert list(Conversation.objects.all()) == [kept]
        assert Message.objects.count() == 2

    def test_a_bounded_number_at_a_time(self, alice, ask, echo, monkeypatch):
        monkeypatch.setattr(deleting, "PURGED_AT_ONCE", 4)
        conversation = ask(echo, "Hello").message.conversation
        for number in range(4):
            cancel_generation(Generation.objects.latest("pk"))
            conversation = Conversation.objects.select_related("owner").get()
            start_generation(conversation, Question(content=f"{number}", assistant=echo, key=uuid.uuid4()))
        delete_conversations(alice, [conversation.pk])
        expire()
        left = []
        while Conversation.objects.exists():
            left.append(Message.objects.count())
            purge_deleted()
        assert left == [10, 6, 2]
        assert not Message.objects.exists()

    def test_the_runner_does_it(self, alice, conversation):
        delete_conversations(alice, [conversation.pk])
        expire()
        runner = Runner()
        Runner.wake(runner)
        try:
            until(lambda: not Conversation.objects.exists())
        finally:
            runner.stop()

    def test_erase_takes_what_was_deleted_too(self, alice, conversation, published):
        delete_conversations(alice, [conversation.pk])
        assert erase_conversation(conversation) == []
        assert erase_conversation(conversation) == []
        assert not Conversation.objects.exists()
