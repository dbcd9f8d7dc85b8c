"""Rules say how long things are kept; what is over goes, in bounded steps, and what is held never does."""

from __future__ import annotations

import io
import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db.models import F
from django.utils import timezone

from chat import audit, rollups, search
from chat.generation import Question, start_conversation
from chat.models import (
    AuditEntry,
    Conversation,
    Feedback,
    Generation,
    ImportBatch,
    Kept,
    Message,
    PersonRollUp,
    PurgeRun,
    RetentionRule,
    Share,
    UsageRecord,
    UsageRollUp,
)
from chat.retention import purging
from chat.retention import rules as retention
from chat.retention.deleting import delete_conversations, restorable, restore_conversations
from chat.retention.purging import AlreadyPurgingError, Daily
from chat.search import Backlog
from chat.search.index import get_index
from tests.chat.test_rollups import make_record
from tests.fakes import claim_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]


def rule(kind=Kept.CONVERSATIONS, days=30, group=None, **values):
    return RetentionRule.objects.create(kind=kind, days=days, group=group, **values)


def age(conversation, days):
    at = timezone.now() - timedelta(days=days)
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=at)


def purge() -> dict[str, int]:
    run = purging.start("test")
    while not purging.step(run).is_over:
        pass
    purging.finish(run)
    return run.counts


def command(*args) -> str:
    output = io.StringIO()
    call_command("purge", *args, stdout=output)
    return output.getvalue()


def start(owner, assistant, words="Hello"):
    return start_conversation(
        owner, Question(content=words, assistant=assistant, key=uuid.uuid4())
    ).message.conversation


@pytest.fixture
def group(alice):
    group = Group.objects.create(name="Research")
    alice.groups.add(group)
    return group


class TestRules:
    def test_it_works(self, conversation, published):
        rule(days=30)
        age(conversation, 31)
        assert purge() == {"conversations": 1}
        conversation.refresh_from_db()
        assert conversation.deleted_at
        assert ("conversation.deleted", {"conversation": str(conversation.pk)}) in [event[1:] for event in published]
        entry = AuditEntry.objects.get(action="purged")
        assert entry.detail == {"by": "test", "conversations": 1}

    def test_what_was_used_lately_stays(self, conversation):
        rule(days=30)
        age(conversation, 29)
        assert purge() == {}
        assert not AuditEntry.objects.filter(action="purged").exists()

    @pytest.mark.parametrize(("place", "flag"), [("is_pinned", "spares_pinned"), ("is_archived", "spares_archived")])
    def test_what_it_spares(self, conversation, place, flag):
        made = rule(**{"spares_pinned": False, "spares_archived": False, flag: True})
        age(conversation, 31)
        Conversation.objects.update(**{place: True})
        assert purge() == {}
        RetentionRule.objects.filter(pk=made.pk).update(**{flag: False})
        retention._rules.forget()
        assert purge() == {"conversations": 1}

    def test_what_was_restored_counts_as_used(self, alice, conversation):
        rule(days=30)
        age(conversation, 31)
        purge()
        restore_conversations(alice, [conversation.pk])
        assert purge() == {}
        Conversation.objects.update(restored_at=F("updated_at"))
        assert purge() == {"conversations": 1}

    def test_the_rule_of_a_group_holds_instead(self, alice, charlie, group, echo):
        rule(days=10)
        rule(days=30, group=group)
        hers, his = start(alice, echo), start(charlie, echo)
        for one in (hers, his):
            age(one, 20)
        assert purge() == {"conversations": 1}
        assert list(Conversation.objects.kept()) == [hers]
        age(hers, 31)
        assert purge() == {"conversations (Research)": 1}

    def test_of_several_groups_the_longest_holds(self, alice, group, conversation):
        other = Group.objects.create(name="Sales")
        alice.groups.add(other)
        rule(days=10, group=group)
        rule(days=100, group=other)
        age(conversation, 50)
        assert retention.rule_for(alice, Kept.CONVERSATIONS).days == 100
        assert purge() == {}
        assert sum(planned.count for planned in purging.plan() if planned.due.kind == Kept.CONVERSATIONS) == 0
        age(conversation, 101)
        assert purge() == {"conversations (Sales)": 1}

    def test_for_ever_is_longest(self, alice, group, conversation):
        rule(days=10)
        rule(days=None, group=group)
        age(conversation, 5000)
        assert purge() == {}
        assert retention.keeping_for(alice) is None

    def test_one_rule_for_each(self, group):
        rule()
        with pytest.raises(ValidationError, match="already"):
            RetentionRule(kind=Kept.CONVERSATIONS, days=3).full_clean()
        rule(group=group)
        with pytest.raises(ValidationError, match="already"):
            RetentionRule(kind=Kept.CONVERSATIONS, days=3, group=group).full_clean()
        with pytest.raises(ValidationError, match="nobody's in particular"):
            RetentionRule(kind=Kept.AUDIT, days=3, group=group).full_clean()


class TestDeleted:
    def delete(self, alice, conversation, days):
        delete_conversations(alice, [conversation.pk])
        Conversation.objects.update(deleted_at=timezone.now() - timedelta(days=days))

    def test_they_are_erased_after_their_days(self, alice, conversation):
        rule(Kept.DELETED, days=30)
        self.delete(alice, conversation, 29)
        assert purge() == {}
        assert list(restorable(alice)) == [conversation]  # as long as it is there
        self.delete(alice, conversation, 31)
        assert not restorable(alice)
        assert purge() == {"deleted": 1}
        assert not Message.objects.exists()

    def test_without_a_rule_after_the_setting(self, alice, conversation):
        self.delete(alice, conversation, 2)
        assert purge() == {"deleted": 1}

    def test_a_group_has_its_own_days(self, alice, group, conversation, alice_client):
        rule(Kept.DELETED, days=30, group=group)
        self.delete(alice, conversation, 20)
        assert purge() == {}
        assert "for 30 days" in alice_client.get("/conversations/?view=deleted").content.decode()

    def test_for_ever(self, alice, conversation, alice_client):
        rule(Kept.DELETED, days=None)
        self.delete(alice, conversation, 5000)
        assert purge() == {}
        assert "can be restored at any time" in alice_client.get("/conversations/?view=deleted").content.decode()

    def test_all_that_hangs_on_it_goes_and_usage_stays(self, alice, ask, echo):
        answer = ask(echo, "Hello").message
        conversation = answer.conversation
        from chat.generation import cancel_generation

        cancel_generation(answer.generation)
        Feedback.objects.create(message=answer, person=alice, value=1)
        Share.objects.create(conversation=conversation, title="Shared").messages.create(
            position=0, role="user", content="Hello"
        )
        while Backlog().work():
            pass
        self.delete(alice, conversation, 2)
        purge()
        for model in (Conversation, Message, Generation, Feedback, Share):
            assert not model.objects.exists(), model
        assert not search.is_behind()
        assert get_index().known([answer.pk, answer.parent_id, -answer.parent_id]) == set()
        assert UsageRecord.objects.count() == 1


class TestOtherThings:
    def test_usage(self, alice):
        values = {"user_id": alice.pk, "username": "alice", "generation_id": 1, "conversation_id": uuid.uuid4()}
        for days in (5, 50):
            UsageRecord.objects.create(at=timezone.now() - timedelta(days=days), outcome="completed", **values)
        rule(Kept.USAGE, days=30)
        assert purge() == {"usage": 1}
        assert UsageRecord.objects.count() == 1

    def test_with_usage_goes_what_each_person_used(self, alice):
        records = [make_record(timezone.now() - timedelta(days=days), user_id=alice.pk) for days in (5, 50)]
        UsageRecord.objects.bulk_create(records)
        rollups.add(records)
        rule(Kept.USAGE, days=30)
        assert purge() == {"usage": 1, "usage by person": 2}
        assert {row.starts_at for row in PersonRollUp.objects.filter(grain="day")} == {rollups.day_of(records[0].at)}
        assert UsageRollUp.objects.filter(grain="day").count() == 2

    def test_hours_go_when_no_page_adds_them_up(self, alice):
        records = [make_record(timezone.now() - timedelta(days=days)) for days in (1, 99, 101)]
        rollups.add(records)
        assert purge() == {}
        for model in rollups.MODELS:
            hours = model.objects.filter(grain="hour").values_list("starts_at", flat=True)
            assert set(hours) == {rollups.hour_of(record.at) for record in records[:2]}
            assert model.objects.filter(grain="day").count() == 3

    def test_sessions(self, alice, client):
        client.force_login(alice)
        Session.objects.create(session_key="old", expire_date=timezone.now() - timedelta(hours=1))
        assert purge() == {"sessions": 1}
        rule(Kept.SESSIONS, days=10)
        assert purge() == {}
        Session.objects.update(expire_date=timezone.now() + timedelta(days=19))  # 30 days after its last use
        assert purge() == {"sessions": 1}

    def test_imports(self, alice):
        rule(Kept.IMPORTS, days=7)
        for status in ("ready", "imported"):
            batch = ImportBatch.objects.create(owner=alice, file_name=status, status=status)
            batch.items.create(position=0, plan="new", payload="{}")
        ImportBatch.objects.update(created_at=timezone.now() - timedelta(days=8))
        assert purge() == {"imports": 1}
        assert ImportBatch.objects.get().file_name == "imported"

    def test_the_audit_log_is_whole_afterwards(self, staff):
        for number in range(5):
            audit.append("transcript.read", staff, reason=number)
        LogEntry.objects.log_actions(staff.pk, [staff], ADDITION, single_object=False)
        LogEntry.objects.update(action_time=timezone.now() - timedelta(days=99))
        # The times are under seal: they are made older by the clock that looks.
        rule(Kept.AUDIT, days=1)
        later = timezone.now() + timedelta(days=2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timezone, "now", lambda: later)
            assert purge() == {"audit": 6, "admin log": 1}
        assert list(audit.verify()) == []
        anchor = audit.anchor()
        assert anchor.number == 6
        assert AuditEntry.objects.order_by("number").first().action == audit.PURGED
        output = io.StringIO()
        call_command("verify_audit", stdout=output)
        assert "Entries 1 to 6 were purged" in output.getvalue()
        audit.append("transcript.read", staff)
        assert list(audit.verify()) == []

    def test_nobody_moves_the_beginning_of_the_audit_log(self, staff):
        entries = [audit.append("transcript.read", staff) for _ in range(4)]
        audit.append("forged", None, through=3, seal=entries[2].seal)
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM chat_auditentry WHERE number <= 3")
            cursor.execute("UPDATE chat_auditentry SET action = %s WHERE number = 5", [audit.PURGED])
        assert [flaw.number for flaw in audit.verify()] == [5]

    def test_an_interrupted_purge_of_the_audit_log_goes_on(self, staff):
        for _ in range(5):
            audit.append("transcript.read", staff)
        audit.forget_through(4)
        assert audit.forget_some(2) == 2
        assert list(audit.verify()) == []
        assert purge() == {"audit": 2}
        assert list(audit.verify()) == []


class TestRounds:
    def test_bounded_and_resumable(self, alice, echo, monkeypatch):
        monkeypatch.setattr(purging, "AT_ONCE", 2)
        rule(days=30)
        for number in range(5):
            age(start(alice, echo, f"{number}"), 40)
        run = purging.start("one")
        purging.step(run)
        assert Conversation.objects.kept().count() == 3
        with pytest.raises(AlreadyPurgingError, match="one"):
            purging.start("two")
        PurgeRun.objects.update(renewed_at=timezone.now() - timedelta(minutes=6))
        assert purge() == {"conversations": 5}
        assert PurgeRun.objects.get().by == "test"

    def test_dry_run_changes_nothing(self, conversation):
        rule(days=30)
        age(conversation, 31)
        assert "        1  conversations, after their last use of everybody" in command("--dry-run")
        assert Conversation.objects.kept().exists()
        assert not PurgeRun.objects.exists()

    def test_the_command(self, conversation):
        rule(days=30)
        age(conversation, 31)
        assert "        1  conversations\n" in command()
        assert not Conversation.objects.kept().exists()
        assert "Nothing is over." in command()
        purging.start("somebody")
        with pytest.raises(CommandError, match="somebody"):
            command()

    def test_the_site_does_it_once_a_day(self, conversation, monkeypatch, settings):
        monkeypatch.setattr(purging, "LOOK_EVERY", -1)
        rule(days=30)
        age(conversation, 31)
        running = Generation.objects.get()
        settings.CHAT_PURGE_DAILY = False
        daily = Daily()
        assert daily.work("worker") == []
        assert Conversation.objects.kept().exists()
        settings.CHAT_PURGE_DAILY = True
        assert daily.work("worker") == [running.pk]
        assert daily.work("worker") == []
        run = PurgeRun.objects.get()
        assert (run.by, run.is_open, run.counts) == ("worker", False, {"conversations": 1})
        age(conversation, 31)
        Conversation.objects.update(deleted_at=None)
        assert daily.work("worker") == []
        assert Conversation.objects.kept().exists()  # tomorrow

    def test_an_answer_that_is_written_ends(self, conversation):
        claim_one("worker")
        rule(days=30)
        age(conversation, 31)
        purge()
        assert Generation.objects.get().status == "cancelled"


class TestWhatPeopleSee:
    LINE = "Conversations are deleted 90 days after their last use. Pinned ones stay."

    def page(self, client, path):
        return " ".join(client.get(path).content.decode().split())

    def test_it_works(self, alice_client, conversation):
        assert "after their last use" not in self.page(alice_client, "/")
        rule(days=90)
        assert self.LINE in self.page(alice_client, "/")
        assert self.LINE in self.page(alice_client, "/settings/")
        assert "will be deleted" not in self.page(alice_client, conversation.get_absolute_url())

    def test_what_goes_soon_says_so(self, alice_client, conversation):
        rule(days=90)
        age(conversation, 84)
        page = self.page(alice_client, conversation.get_absolute_url())
        assert "This conversation will be deleted on" in page
        assert "Will be deleted on" in page  # in the list
        age(conversation, 82)
        assert "ill be deleted on" not in self.page(alice_client, conversation.get_absolute_url())
        age(conversation, 84)
        Conversation.objects.update(is_pinned=True)
        assert "ill be deleted on" not in self.page(alice_client, conversation.get_absolute_url())

    def test_no_query_without_rules(self, alice_client, conversation, django_assert_num_queries):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        alice_client.get("/")
        with CaptureQueriesContext(connection) as queries:
            alice_client.get("/")
        assert not [query for query in queries if "retention" in query["sql"]]
