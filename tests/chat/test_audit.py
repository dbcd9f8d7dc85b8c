"""The audit log proves that it is what was written."""

from __future__ import annotations

import re
from functools import partial
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse

from chat import audit
from chat.admin.audit import ACTS
from chat.models import AppendOnlyError, AuditEntry, AuditHead, Generation
from tests.browser.site import ROOT
from tests.chat.test_races import at_once
from tests.conftest import PASSWORD


@pytest.fixture
def entries(alice, staff):
    target = audit.Target(kind="conversation", id="c1", owner_id=alice.pk)
    for number in range(4):
        audit.append("transcript.read", staff, target, reason=f"Ticket {number}", seconds=1.5)
    return list(AuditEntry.objects.order_by("number"))


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def places() -> list[int]:
    return [flaw.number for flaw in audit.verify()]


def test_it_works(entries, alice, staff):
    first = entries[0]
    assert (first.number, first.actor, first.actor_id, first.concerns_id) == (1, "staff", staff.pk, alice.pk)
    assert first.detail == {"reason": "Ticket 0", "seconds": 1.5}
    output = StringIO()
    call_command("verify_audit", stdout=output)
    assert output.getvalue() == f"4 entries, whole. Newest seal: {entries[-1].seal}\n"


def test_an_empty_log_is_whole(db):
    output = StringIO()
    call_command("verify_audit", stdout=output)
    assert output.getvalue() == "The audit log is empty.\n"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE chat_auditentry SET actor = 'nobody' WHERE number = 2", [2]),
        ("UPDATE chat_auditentry SET detail = '{}' WHERE number = 4", [4]),
        ("UPDATE chat_auditentry SET at = '2020-01-01 00:00:00+00:00' WHERE number = 1", [1]),
        ("UPDATE chat_auditentry SET seal = '00' WHERE number = 3", [3, 4]),
        ("DELETE FROM chat_auditentry WHERE number = 2", [2, 3]),
        ("DELETE FROM chat_auditentry WHERE number = 1", [1, 2]),
        ("DELETE FROM chat_auditentry WHERE number = 4", [3]),
        ("DELETE FROM chat_auditentry", [0]),
        ("DELETE FROM chat_audithead", [4]),
    ],
)
def test_it_finds_what_was_tampered_with(entries, statement, found, capsys):
    sql(statement)
    assert places() == found
    with pytest.raises(CommandError, match="broken"):
        call_command("verify_audit", stderr=StringIO())


def test_it_needs_the_key_to_forge(entries, settings):
    settings.SECRET_KEY = "another"
    assert places()[0] == 1
    settings.SECRET_KEY_FALLBACKS = ["x", *settings.SECRET_KEY_FALLBACKS]
    assert places()[0] == 1


def test_an_old_key_is_known(entries, settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a-new-one"
    audit.append("login", None)
    assert places() == []


def test_it_never_changes(entries):
    everything = AuditEntry.objects.all()
    for change in (entries[0].save, entries[0].delete, partial(everything.update, actor=""), everything.delete):
        with pytest.raises(AppendOnlyError):
            change()


def test_what_is_undone_leaves_no_entry(staff):
    with transaction.atomic():
        audit.append("login", staff)
        transaction.set_rollback(True)
    assert not AuditEntry.objects.exists()
    assert places() == []


@pytest.mark.django_db(transaction=True)
def test_many_at_once_make_one_chain():
    at_once(*[partial(audit.append, "login", None)] * 12)
    assert AuditHead.objects.get().number == 12
    assert places() == []


class TestWitness:
    def acts(self) -> list[tuple[str, str, str]]:
        return list(AuditEntry.objects.order_by("number").values_list("actor", "action", "target"))

    def test_signing_in_and_out(self, client, alice):
        login = reverse("account_login")
        client.post(login, {"login": "alice", "password": "wrong"})
        client.post(login, {"login": "nobody", "password": "wrong"})
        client.post(login, {"login": "alice", "password": PASSWORD})
        client.post(reverse("account_logout"))
        assert self.acts() == [
            ("", "login.failed", "alice"),
            ("", "login.failed", ""),
            ("alice", "login", ""),
            ("alice", "logout", ""),
        ]
        assert places() == []

    def test_what_is_changed_in_the_admin(self, client, staff, echo):
        client.force_login(staff)
        url = reverse("admin:chat_quota_add")
        assert (
            client.post(url, {"metric": "tokens", "limit": "5", "period": "day", "is_active": "on"}).status_code == 302
        )
        entry = AuditEntry.objects.latest("number")
        assert (entry.actor, entry.action, entry.target) == ("staff", "admin.added", "everybody: 5 tokens / day")
        echo_url = reverse("admin:chat_assistant_changelist")
        client.post(echo_url, {"action": "delete_selected", "_selected_action": [echo.pk], "post": "yes"})
        entry = AuditEntry.objects.latest("number")
        assert (entry.action, entry.target_type, entry.target) == ("admin.deleted", "assistant", "Echo")
        assert places() == []

    def test_reading_a_conversation_of_somebody_else(self, client, staff, alice, conversation):
        client.force_login(staff)
        client.post(reverse("admin:open_conversation", args=[conversation.pk]), {"reason": "A look at an error"})
        entry = AuditEntry.objects.latest("number")
        assert (entry.action, entry.concerns_id, entry.target) == ("transcript.read", alice.pk, "")
        assert "Hello" not in str(AuditEntry.objects.values())

    def test_cancelling_for_somebody_else(self, client, staff, alice, conversation, no_runner):
        client.force_login(staff)
        generation = Generation.objects.get()
        chosen = {"action": "cancel_selected", "_selected_action": [generation.pk]}
        client.post(reverse("admin:chat_generation_changelist"), chosen)
        entry = AuditEntry.objects.latest("number")
        assert (entry.action, entry.target_id, entry.concerns_id) == (
            "generation.cancelled",
            str(generation.pk),
            alice.pk,
        )


def test_every_act_has_words():
    sources = "\n".join(path.read_text() for path in (ROOT / "chat").rglob("*.py") if "migrations" not in path.parts)
    acts = set(re.findall(r'(?:audit\.append\(|_ACTION = |act = |else )\s*"([a-z]+(?:\.[a-z_]+)?)"', sources))
    assert {"login", "transcript.read", "moderation.flagged"} <= acts
    assert {act for act in acts if "." in act} - ACTS.keys() == set()
