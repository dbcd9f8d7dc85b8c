"""People in the admin: who may do what to whom, and what happens to those who are shut out."""

from __future__ import annotations

import uuid
from functools import partial

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat import events
from chat.events import streams
from chat.generation import Question, start_conversation
from chat.models import AuditEntry, Generation, Quota, Status, UsageRecord, User
from chat.people import managing as people
from chat.people import rights
from chat.people.facts import access_of, assistants_of
from chat.people.managing import LastAdministratorError
from tests.chat.test_races import at_once
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

LIST = "admin:chat_user_changelist"


def permit(user: User, *names: str) -> User:
    user.user_permissions.add(*Permission.objects.filter(codename__in=names))
    return User.objects.get(pk=user.pk)


@pytest.fixture
def helper(db) -> User:
    """Somebody who manages people and groups, and nothing else."""
    made = User.objects.create_user("helper", "helper@example.org", PASSWORD, is_staff=True)
    names = [f"{act}_{what}" for act in ("add", "change", "delete", "view") for what in ("user", "group")]
    return permit(made, *names)


@pytest.fixture
def admin_client(staff) -> Client:
    client = Client()
    client.force_login(staff)
    return client


@pytest.fixture
def helper_client(helper) -> Client:
    client = Client()
    client.force_login(helper)
    return client


def act(client: Client, action: str, *chosen: User, **more):
    form = {"action": action, "_selected_action": [person.pk for person in chosen], **more}
    return client.post(reverse(LIST), form, follow=True)


def form_of(client: Client, person: User, **changes) -> dict:
    """Return what the page of a person would send, with changes; None takes a field away."""
    page = client.get(reverse("admin:chat_user_change", args=[person.pk]))
    form = page.context["adminform"].form
    data = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items() if name != "password"}
    for name in ("groups", "user_permissions"):
        if name in data:
            data[name] = [row.pk for row in data[name] or []]
    data |= changes
    return {name: value for name, value in data.items() if value not in (None, False)}


def change(client: Client, person: User, **changes):
    return client.post(reverse("admin:chat_user_change", args=[person.pk]), form_of(client, person, **changes))


class TestDeactivating:
    def test_it_works(self, admin_client, alice, alice_client, ask, echo, no_runner):
        running = ask(echo, "Hello")
        assert alice_client.get("/").status_code == 200
        answer = act(admin_client, "deactivate", alice)
        assert "1 person was deactivated" in answer.content.decode()
        ended = Generation.objects.get(pk=running.pk)
        assert (ended.status, ended.finish_reason) == (Status.CANCELLED, "deactivated")
        assert no_runner == [running.pk]
        assert alice_client.get("/").status_code == 302
        entry = AuditEntry.objects.latest("number")
        assert (entry.actor, entry.action, entry.target) == ("staff", "person.deactivated", "alice")

    def test_what_is_theirs_is_kept_and_old_sessions_do_not_come_back(self, alice, staff, alice_client, conversation):
        people.deactivate(alice, staff)
        assert people.deactivate(alice, staff) == []
        assert people.reactivate(alice, staff)
        assert not people.reactivate(alice, staff)
        assert alice.conversations.count() == 1
        assert alice_client.get("/").status_code == 302
        assert Client().login(username="alice", password=PASSWORD)

    def test_by_the_form_it_is_the_same(self, admin_client, alice, alice_client, ask, echo, no_runner):
        running = ask(echo, "Hello")
        assert change(admin_client, alice, is_active=False).status_code == 302
        assert Generation.objects.get(pk=running.pk).finish_reason == "deactivated"
        assert no_runner == [running.pk]
        assert alice_client.get("/").status_code == 302

    def test_another_persons_answers_go_on(self, alice, charlie, staff, ask, echo):
        question = Question(content="Mine", assistant=echo, key=uuid.uuid4())
        other = start_conversation(charlie, question)
        ask(echo, "Hello")
        people.deactivate(alice, staff)
        assert Generation.objects.get(pk=other.pk).status == Status.QUEUED

    @pytest.mark.parametrize("verb", [people.deactivate, people.end_sessions])
    def test_open_streams_end(self, alice, staff, alice_client, monkeypatch, verb):
        session = alice_client.session.session_key
        opened = streams._OpenStream(session, alice.pk, (alice.password, alice.sessions_ended))
        monkeypatch.setattr(streams, "_open_streams", {opened})
        events.end_revoked_streams()
        assert opened.ended == ""
        verb(alice, staff)
        assert opened.ended == "forbidden"

    def test_signing_out_leaves_answers_alone(self, admin_client, alice, alice_client, ask, echo):
        running = ask(echo, "Hello")
        act(admin_client, "end_sessions", alice)
        assert alice_client.get("/").status_code == 302
        assert Generation.objects.get(pk=running.pk).status == Status.QUEUED
        alice_client.force_login(User.objects.get(pk=alice.pk))
        assert alice_client.get("/").status_code == 200
        assert AuditEntry.objects.filter(action="person.signed_out", target="alice").exists()


class TestLastAdministrator:
    @pytest.mark.parametrize("changes", [{"is_active": False}, {"is_superuser": False}, {"is_staff": False}])
    def test_nobody_locks_themselves_out(self, admin_client, staff, changes):
        response = change(admin_client, staff, **changes)
        assert response.status_code == 200
        assert "nobody left" in str(response.context["adminform"].form.errors)
        assert people.is_last_administrator(User.objects.get(pk=staff.pk))

    def test_neither_by_an_action_nor_by_deleting(self, admin_client, staff, alice):
        User.objects.filter(pk=alice.pk).update(is_superuser=True)  # not staff: cannot open the admin
        assert "nobody left" in act(admin_client, "deactivate", staff).content.decode()
        url = reverse("admin:chat_user_delete", args=[staff.pk])
        assert admin_client.post(url, {"post": "yes"}).status_code == 403
        act(admin_client, "delete_selected", staff, post="yes")
        assert people.is_last_administrator(User.objects.get(pk=staff.pk))

    def test_two_are_not_deleted_at_once(self, admin_client, staff):
        other = User.objects.create_superuser("other")
        answer = act(admin_client, "delete_selected", staff, other, post="yes")
        assert "nobody left" in answer.content.decode()
        assert people.administrators().count() == 2
        act(admin_client, "delete_selected", other, post="yes")
        assert people.administrators().count() == 1

    def test_with_another_one_it_goes(self, admin_client, staff):
        User.objects.create_superuser("other")
        assert change(admin_client, staff, is_superuser=False).status_code == 302
        assert people.administrators().get().username == "other"

    def test_two_who_deactivate_each_other(self, staff):
        other = User.objects.create_superuser("other")

        def shut_out(person: User, by: User) -> str:
            try:
                people.deactivate(person, by)
            except LastAdministratorError:
                return "refused"
            return "done"

        assert sorted(at_once(partial(shut_out, staff, other), partial(shut_out, other, staff))) == ["done", "refused"]
        assert people.administrators().count() == 1


class TestRights:
    def test_nobody_becomes_a_superuser(self, helper_client, helper, alice):
        for person in (helper, alice):
            assert change(helper_client, person, is_superuser="on").status_code == 302
            assert not User.objects.get(pk=person.pk).is_superuser

    def test_nobody_gives_permissions_that_they_lack(self, helper_client, helper, alice):
        wanted = Permission.objects.get(codename="view_others_conversations")
        for person in (helper, alice):
            response = change(helper_client, person, user_permissions=[wanted.pk])
            assert response.status_code == 200
            assert "user_permissions" in response.context["adminform"].form.errors
        own = Permission.objects.get(codename="view_group")
        assert change(helper_client, alice, user_permissions=[own.pk], is_staff="on").status_code == 302
        assert User.objects.get(pk=alice.pk).has_perm("auth.view_group")

    def test_nor_by_a_group(self, helper_client, helper, alice):
        powerful, plain = Group.objects.create(name="powerful"), Group.objects.create(name="plain")
        powerful.permissions.add(Permission.objects.get(codename="delete_conversation"))
        response = change(helper_client, helper, groups=[powerful.pk])
        assert "groups" in response.context["adminform"].form.errors
        assert change(helper_client, alice, groups=[plain.pk]).status_code == 302
        assert "Choose a group" in act(helper_client, "add_to_group", alice, group=powerful.pk).content.decode()
        assert not powerful.user_set.exists()
        # Neither by giving the right to a group that one is in.
        url = reverse("admin:auth_group_change", args=[plain.pk])
        form = {"name": "plain", "permissions": [Permission.objects.get(codename="delete_conversation").pk]}
        assert "permissions" in helper_client.post(url, form).context["adminform"].form.errors
        assert helper_client.post(reverse("admin:auth_group_change", args=[powerful.pk]), form).status_code == 403
        assert helper_client.post(reverse("admin:auth_group_delete", args=[powerful.pk])).status_code == 403

    def test_nobody_changes_who_has_more_rights(self, helper_client, staff):
        """Who can change an address or a password can sign in as its owner."""
        powerful = permit(User.objects.create_user("auditor", is_active=False), "view_others_conversations")
        for person in (staff, powerful):
            before = person.password
            url = reverse("admin:chat_user_change", args=[person.pk])
            assert helper_client.post(url, {"username": "x", "email": "mine@example.org"}).status_code == 403
            url = reverse("admin:auth_user_password_change", args=[person.pk])
            assert (
                helper_client.post(url, {"password1": "n3w-password!", "password2": "n3w-password!"}).status_code == 403
            )
            url = reverse("admin:chat_user_delete", args=[person.pk])
            assert helper_client.post(url, {"post": "yes"}).status_code == 403
            assert User.objects.get(pk=person.pk).password == before

    @pytest.mark.parametrize("action", ["deactivate", "end_sessions", "send_password_link", "delete_selected"])
    def test_nor_by_an_action(self, helper_client, staff, action):
        User.objects.create_superuser("other")
        act(helper_client, action, staff, post="yes")
        there = User.objects.get(pk=staff.pk)
        assert there.is_active
        assert there.sessions_ended == 0
        assert not mail.outbox

    @pytest.mark.parametrize("act_on", ["add", "change", "delete"])
    def test_nor_by_an_address_beside_their_account(self, helper_client, helper, staff, act_on):
        """The link for a new password goes to every address of an account."""
        permit(helper, "add_emailaddress", "change_emailaddress", "delete_emailaddress", "view_emailaddress")
        address = EmailAddress.objects.create(user=staff, email=staff.email, verified=True, primary=True)
        args = [] if act_on == "add" else [address.pk]
        url = reverse(f"admin:account_emailaddress_{act_on}", args=args)
        form = {"user": staff.pk, "email": "mine@example.org", "verified": "on", "primary": "on", "post": "yes"}
        assert helper_client.post(url, form).status_code == 403
        EmailAddress.objects.update(verified=False)
        form = {"action": "make_verified", "_selected_action": [address.pk]}
        helper_client.post(reverse("admin:account_emailaddress_changelist"), form)
        assert list(EmailAddress.objects.values_list("email", "verified")) == [(staff.email, False)]

    def test_words(self, helper, staff, alice):
        assert rights.is_above(staff, helper)
        assert rights.is_above(helper, alice)
        assert not rights.is_above(alice, helper)
        assert rights.is_above(helper, helper)


class TestList:
    def test_it_works(self, admin_client, alice, conversation, echo):
        group = Group.objects.create(name="Editors")
        alice.groups.add(group)
        answer = Generation.objects.get()
        UsageRecord.objects.create(
            user_id=alice.pk, username="alice", assistant_name="Echo", backend="echo", generation_id=answer.pk,
            conversation_id=conversation.pk, input_tokens=1000, output_tokens=234, cost="1.5", outcome="completed",
        )  # fmt: skip
        page = admin_client.get(reverse(LIST)).content.decode()
        for text in ("alice@example.org", "Editors", "1234", "1.50 USD", "active", "administrator"):
            assert text in page
        assert "Hello there" not in page

    def test_last_seen_is_the_newer_of_signing_in_and_the_last_answer(self, admin_client, alice, staff):
        def seen(name: str) -> str:
            found = admin_client.get(reverse(LIST), {"seen": name}).context["cl"].queryset
            return ",".join(sorted(person.username for person in found))

        assert seen("never") == "alice"
        User.objects.filter(pk=alice.pk).update(last_login=timezone.now() - timezone.timedelta(days=40))
        assert seen("earlier") == "alice"
        UsageRecord.objects.create(
            user_id=alice.pk, username="alice", assistant_name="Echo", backend="echo", generation_id=1,
            conversation_id=uuid.uuid4(), outcome="completed", at=timezone.now() - timezone.timedelta(days=9),
        )  # fmt: skip
        assert seen("month") == "alice,staff"
        assert seen("week") == "staff"

    @pytest.mark.parametrize("state", ["active", "deactivated", "unverified", "administrator", "staff"])
    def test_states(self, admin_client, alice, charlie, state):
        User.objects.filter(pk=alice.pk).update(is_active=False)
        User.objects.filter(pk=charlie.pk).update(must_verify_email=True)
        found = admin_client.get(reverse(LIST), {"state": state}).context["cl"].queryset
        wanted = {
            "active": {"charlie", "staff"}, "deactivated": {"alice"}, "unverified": {"charlie"},
            "administrator": {"staff"}, "staff": set(),
        }  # fmt: skip
        assert {person.username for person in found} == wanted[state]

    def test_queries_do_not_grow(self, admin_client, alice, ask, echo):
        group = Group.objects.create(name="Editors")

        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                admin_client.get(reverse(LIST))
            return len(queries)

        alice.groups.add(group)
        ask(echo, "First")
        count()
        few = count()
        for number in range(8):
            User.objects.create_user(f"user{number}").groups.add(group)
        assert count() == few

    def test_groups(self, admin_client, alice, charlie):
        group = Group.objects.create(name="Editors")
        assert (
            "2 people were added" in act(admin_client, "add_to_group", alice, charlie, group=group.pk).content.decode()
        )
        act(admin_client, "add_to_group", alice, group=group.pk)
        assert set(group.user_set.all()) == {alice, charlie}
        act(admin_client, "take_out_of_group", alice, group=group.pk)
        assert set(group.user_set.all()) == {charlie}
        acts = AuditEntry.objects.filter(action__startswith="person.").order_by("number")
        assert [(entry.action, entry.target) for entry in acts] == [
            ("person.joined", "alice"), ("person.joined", "charlie"), ("person.left", "alice"),
        ]  # fmt: skip
        assert "Choose a group" in act(admin_client, "add_to_group", alice).content.decode()

    def test_password_links(self, admin_client, alice, settings):
        nobody = User.objects.create_user("without-address")
        answer = act(admin_client, "send_password_link", alice, nobody).content.decode()
        assert "1 link was sent" in answer
        assert [sent.to for sent in mail.outbox] == [["alice@example.org"]]
        assert "/accounts/password/reset/key/" in mail.outbox[0].body
        settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
        assert "nothing was sent" in act(admin_client, "send_password_link", alice).content.decode()

    def test_deleting_names_people_and_not_their_titles(self, admin_client, alice, conversation):
        url = reverse("admin:chat_user_delete", args=[alice.pk])
        page = admin_client.get(url).content.decode()
        assert "alice" in page
        assert "Hello there" not in page
        admin_client.post(url, {"post": "yes"})
        assert not User.objects.filter(pk=alice.pk).exists()


class TestAccess:
    @pytest.fixture
    def groups(self, echo, scripted, alice):
        ours, theirs = Group.objects.create(name="Ours"), Group.objects.create(name="Theirs")
        scripted.groups.add(ours)
        alice.groups.add(ours)
        closed = type(echo).objects.create(name="Closed", slug="closed", backend="echo", order=3)
        closed.groups.add(theirs)
        type(echo).objects.create(name="Off", slug="off", backend="echo", is_active=False)
        return ours, theirs

    def test_from_both_sides(self, alice, charlie, groups):
        found = [(one.assistant.name, one.is_allowed, one.is_for_all, one.by) for one in access_of(alice)]
        assert found == [
            ("Echo", True, True, []), ("Scripted", True, False, ["Ours"]), ("Closed", False, False, ["Theirs"]),
        ]  # fmt: skip
        assert [one.assistant.name for one in access_of(charlie) if one.is_allowed] == ["Echo"]
        assert [(one.assistant.name, one.is_for_all) for one in assistants_of(groups[0])] == [
            ("Scripted", False), ("Echo", True),
        ]  # fmt: skip

    def test_the_pages_show_it_and_the_quotas(self, admin_client, alice, groups, echo):
        Quota.objects.create(group=groups[0], metric="requests", limit=7)
        Quota.objects.create(assistant=echo, metric="tokens", limit=999)
        Quota.objects.create(group=groups[1], metric="tokens", limit=555)
        page = admin_client.get(reverse("admin:chat_user_change", args=[alice.pk])).content.decode()
        for text in (
            "yes: by Ours",
            "yes: for everybody",
            "no: only for Theirs",
            "7 requests",
            "999 tokens",
            "0% used",
        ):
            assert text in page, text
        assert "555 tokens" not in page
        page = admin_client.get(reverse("admin:auth_group_change", args=[groups[0].pk])).content.decode()
        for text in ("Scripted", "for this group", "7 requests", "1 person"):
            assert text in page, text
        assert "Closed" not in page
