"""Invitations, from the admin to the account."""

from __future__ import annotations

import re
from datetime import timedelta
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

from chat.admin.inviting import addresses_in
from chat.models import AuditEntry, Invitation, InvitationState, InvitationUse, User
from chat.people import invitations
from chat.people.invitations import InvitationGoneError, Offer
from tests.chat.test_races import at_once
from tests.chat.test_signup import choose, is_in, sign_up

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

WEEK = timedelta(days=7)
LIST = "admin:chat_invitation_changelist"
LINK = re.compile(r"http://testserver(/invitation/[\w-]{43}/)")


@pytest.fixture
def admin_client(staff) -> Client:
    client = Client()
    client.force_login(staff)
    return client


@pytest.fixture
def group(db) -> Group:
    return Group.objects.create(name="Editors")


def url_of(token: str) -> str:
    return reverse("chat:invitation", args=[token])


def add(client: Client, **form):
    return client.post(reverse("admin:chat_invitation_add"), {"uses": "1", "days": "7", **form})


def act(client: Client, action: str, *chosen: Invitation):
    form = {"action": action, "_selected_action": [one.pk for one in chosen]}
    return client.post(reverse(LIST), form, follow=True)


class TestVerbs:
    def test_it_works(self, staff, group, alice):
        made = invitations.invite(Offer(email="Dora@Example.org", groups=[group], lasts=WEEK), staff)
        stored = Invitation.objects.get()
        assert stored.state == InvitationState.OPEN
        assert stored.email == "dora@example.org"
        assert made.token not in str(Invitation.objects.values())
        assert made.token not in str(AuditEntry.objects.values())
        assert len(made.token) >= 43  # 256 bits
        assert invitations.find(made.token) == stored
        assert invitations.find(made.token[:-1]) is None
        invitations.accept(stored, alice)
        assert list(alice.groups.all()) == [group]
        assert Invitation.objects.get().state == InvitationState.USED
        assert InvitationUse.objects.get().username == "alice"
        with pytest.raises(InvitationGoneError):
            invitations.accept(stored, staff)

    @pytest.mark.parametrize(
        ("change", "state"),
        [
            ({"revoked_at": timezone.now()}, InvitationState.REVOKED),
            ({"expires_at": timezone.now() - timedelta(seconds=1)}, InvitationState.EXPIRED),
            ({"used": 1}, InvitationState.USED),
        ],
    )
    def test_what_is_over_is_accepted_by_nobody(self, admin_client, staff, alice, change, state):
        made = invitations.invite(Offer(lasts=WEEK), staff)
        Invitation.objects.update(**change)
        assert Invitation.objects.get().state == state
        found = admin_client.get(reverse(LIST), {"state": str(state.value)}).context["cl"].queryset
        assert list(found) == [made.invitation]
        assert not admin_client.get(reverse(LIST), {"state": "open"}).context["cl"].queryset
        with pytest.raises(InvitationGoneError):
            invitations.accept(made.invitation, alice)

    def test_a_new_link_ends_the_old_one(self, staff):
        made = invitations.invite(Offer(lasts=WEEK), staff)
        Invitation.objects.update(expires_at=timezone.now() + timedelta(seconds=1), mailed_at=timezone.now())
        Invitation.objects.update(created_at=timezone.now() - timedelta(days=6))
        again = invitations.renew(Invitation.objects.get(), staff)
        assert invitations.find(made.token) is None
        assert invitations.find(again.token).state == InvitationState.OPEN
        assert Invitation.objects.get().mailed_at is None
        assert invitations.revoke(again.invitation, staff)
        assert not invitations.revoke(again.invitation, staff)
        with pytest.raises(InvitationGoneError):
            invitations.renew(again.invitation, staff)

    @pytest.mark.parametrize("uses", [1, 3])
    def test_two_take_the_last_use_at_once(self, staff, uses):
        made = invitations.invite(Offer(uses=uses, lasts=WEEK), staff)
        people = [User.objects.create_user(f"p{number}") for number in range(uses + 3)]

        def accept(person: User) -> bool:
            from django.db import transaction

            try:
                with transaction.atomic():
                    invitations.accept(made.invitation, person)
            except InvitationGoneError:
                return False
            return True

        assert sum(at_once(*[partial(accept, person) for person in people])) == uses
        assert Invitation.objects.get().used == uses == InvitationUse.objects.count()


class TestSigningUp:
    def test_it_works(self, client, staff, group):
        made = invitations.invite(Offer(email="dora@example.org", groups=[group], lasts=WEEK), staff)
        assert client.get(url_of(made.token))["Location"] == reverse("account_signup")
        page = client.get(reverse("account_signup")).content.decode()
        assert "dora@example.org" in page
        assert "You are invited" in page
        # The address is fixed, whatever is sent.
        assert sign_up(client, email="mallory@example.com")["Location"] == "/"
        person = User.objects.get(username="dora")
        assert person.email == "dora@example.org"
        assert list(person.groups.all()) == [group]
        assert is_in(client)
        assert Invitation.objects.get().used == 1
        entry = AuditEntry.objects.get(action="invitation.accepted")
        assert (entry.actor, entry.target) == ("dora", "dora@example.org")
        assert Client().get(url_of(made.token)).status_code == 404

    def test_opening_the_link_uses_nothing_up(self, staff):
        """Programs that look at mails open links."""
        made = invitations.invite(Offer(lasts=WEEK), staff)
        for _ in range(3):
            assert Client().get(url_of(made.token)).status_code == 302
        assert Invitation.objects.get().used == 0

    def test_a_session_without_it_is_not_let_in(self, client, staff):
        invitations.invite(Offer(lasts=WEEK), staff)
        sign_up(client)
        assert not User.objects.filter(username="dora").exists()

    @pytest.mark.parametrize("change", [{"revoked_at": timezone.now()}, {"used": 1}, {"token_hash": "0" * 64}])
    def test_it_may_be_over_while_somebody_types(self, client, staff, change):
        made = invitations.invite(Offer(lasts=WEEK), staff)
        client.get(url_of(made.token))
        Invitation.objects.update(**change)
        sign_up(client)
        assert not User.objects.filter(username="dora").exists()

    def test_two_browsers_and_one_use(self, staff):
        made = invitations.invite(Offer(lasts=WEEK), staff)
        browsers = [Client(), Client()]
        for browser in browsers:
            browser.get(url_of(made.token))
        done = at_once(*[partial(sign_up, browser, f"p{number}", "") for number, browser in enumerate(browsers)])
        assert {response.status_code for response in done} <= {200, 302}
        assert User.objects.filter(username__startswith="p").count() == 1
        assert sorted(is_in(browser) for browser in browsers) == [False, True]

    def test_none_where_sign_up_is_closed(self, client, staff):
        made = invitations.invite(Offer(lasts=WEEK), staff)
        client.get(url_of(made.token))
        choose(mode="closed")
        assert client.get(url_of(made.token)).status_code == 404
        sign_up(client)
        assert not User.objects.filter(username="dora").exists()

    def test_it_lets_in_from_another_domain(self, client, staff):
        choose(mode="domain", domains=["example.org"])
        made = invitations.invite(Offer(lasts=WEEK), staff)
        client.get(url_of(made.token))
        sign_up(client, email="dora@example.com")
        # It was not sent to this address, which is therefore to be verified.
        assert User.objects.get(username="dora").must_verify_email
        assert not is_in(client)

    def test_who_got_the_mail_needs_no_other(self, client, admin_client):
        choose(mode="domain", domains=["example.org"])
        add(admin_client, addresses="dora@example.com", mails="on")
        client.get(LINK.search(mail.outbox[0].body)[1])
        sign_up(client)
        assert EmailAddress.objects.get(user__username="dora").verified
        assert is_in(client)
        assert len(mail.outbox) == 1

    def test_who_is_signed_in_is_told(self, alice_client, staff):
        made = invitations.invite(Offer(lasts=WEEK), staff)
        page = alice_client.get(url_of(made.token))
        assert "You are signed in as alice" in page.content.decode()
        assert alice_client.get(url_of("forged")).status_code == 404

    @pytest.mark.parametrize("token", ["x", "x" * 43, "x" * 5000, "%00", "ü"])
    def test_guesses(self, client, token):
        response = client.get(url_of(token))
        assert response.status_code == 404
        assert "cannot be used" in response.content.decode()

    def test_guessing_is_slowed_down(self, client, settings, db):
        from django.core.cache import cache

        cache.clear()
        settings.ACCOUNT_RATE_LIMITS = {"signup": "3/m/ip"}
        statuses = [client.get(url_of(f"guess-{number}")).status_code for number in range(5)]
        assert statuses == [404, 404, 404, 429, 429]
        cache.clear()


class TestAdmin:
    def test_a_link_is_shown_once(self, admin_client, client, group):
        page = add(admin_client, groups=[group.pk], uses="3", note="Course")
        assert "no-store" in page["Cache-Control"]
        link = LINK.search(page.content.decode())[1]
        assert not mail.outbox
        stored = Invitation.objects.get()
        assert (stored.uses, stored.note, stored.created_by.username) == (3, "Course", "staff")
        for name, args in ((LIST, []), ("admin:chat_invitation_change", [stored.pk])):
            shown = admin_client.get(reverse(name, args=args)).content.decode()
            assert not LINK.search(shown)
            assert stored.token_hash not in shown
            assert "0 / 3" in shown
        assert client.get(link).status_code == 302

    def test_addresses_are_pasted(self, admin_client, alice, staff):
        invitations.invite(Offer(email="open@example.org", lasts=WEEK), staff)
        pasted = "Ann A <ann@example.org>, bob@Example.org;\nALICE@example.org\nopen@example.org bob@example.org"
        page = add(admin_client, addresses=pasted, mails="on").content.decode()
        assert sorted(sent.to[0] for sent in mail.outbox) == ["ann@example.org", "bob@example.org"]
        assert not LINK.search(page)
        for text in ("2 invitations were sent", "has an account", "has an open invitation"):
            assert text in page
        assert Invitation.objects.exclude(mailed_at=None).count() == 2
        body = mail.outbox[0].body
        assert LINK.search(body)
        assert "You are invited to chatsite" in mail.outbox[0].subject

    def test_without_mail_links_are_shown(self, admin_client, settings):
        settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
        form = admin_client.get(reverse("admin:chat_invitation_add")).content.decode()
        assert "No mail is set up" in form
        page = add(admin_client, addresses="ann@example.org, bob@example.org", mails="on").content.decode()
        assert len(set(LINK.findall(page))) == 2

    def test_where_there_are_no_groups_it_says_so(self, admin_client):
        page = admin_client.get(reverse("admin:chat_invitation_add")).content.decode()
        assert "There are none yet." in page
        Group.objects.create(name="Team")
        page = admin_client.get(reverse("admin:chat_invitation_add")).content.decode()
        assert ("There are none yet." in page, "Team" in page) == (False, True)

    def test_a_mail_server_that_is_away(self, admin_client, settings):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        page = add(admin_client, addresses="ann@example.org", mails="on").content.decode()
        assert "could not be sent" in page
        assert LINK.search(page)

    @pytest.mark.parametrize(
        ("form", "field"),
        [
            ({"addresses": "ann@example.org, nonsense"}, "addresses"),
            ({"addresses": "staff@example.org"}, "addresses"),
            ({"addresses": " ".join(f"p{n}@example.org" for n in range(201))}, "addresses"),
            ({"uses": "0"}, "uses"),
            ({"days": "10000"}, "days"),
            ({"groups": ["999"]}, "groups"),
        ],
    )
    def test_wrong_forms_are_refused(self, admin_client, form, field):
        response = add(admin_client, **form)
        assert response.status_code == 422
        assert field in response.context["form"].errors
        assert not Invitation.objects.exists()

    def test_actions(self, admin_client, staff):
        made = invitations.invite(Offer(email="ann@example.org", lasts=WEEK), staff)
        anybody = invitations.invite(Offer(lasts=WEEK), staff)
        assert (
            "1 invitation was sent"
            in act(admin_client, "send_again", made.invitation, anybody.invitation).content.decode()
        )
        assert invitations.find(made.token) is None
        assert LINK.search(act(admin_client, "make_new_links", anybody.invitation).content.decode())
        assert (
            "2 invitations were revoked"
            in act(admin_client, "revoke_selected", made.invitation, anybody.invitation).content.decode()
        )
        assert "left alone" in act(admin_client, "make_new_links", made.invitation).content.decode()
        acts = set(AuditEntry.objects.values_list("action", flat=True))
        assert acts >= {"invitation.created", "invitation.renewed", "invitation.revoked"}

    def test_nobody_invites_into_more_rights_than_their_own(self, client, staff, group):
        group.permissions.add(Permission.objects.get(codename="delete_user"))
        made = invitations.invite(Offer(groups=[group], lasts=WEEK), staff)
        helper = User.objects.create_user("helper", is_staff=True)
        names = ["add_invitation", "change_invitation", "view_invitation"]
        helper.user_permissions.add(*Permission.objects.filter(codename__in=names))
        client.force_login(helper)
        assert "groups" in add(client, groups=[group.pk]).context["form"].errors
        assert not LINK.search(act(client, "make_new_links", made.invitation).content.decode())
        assert invitations.find(made.token) is not None

    def test_it_needs_the_permission(self, client, staff):
        invitations.invite(Offer(lasts=WEEK), staff)
        helper = User.objects.create_user("helper", is_staff=True)
        helper.user_permissions.add(Permission.objects.get(codename="view_invitation"))
        client.force_login(helper)
        assert client.get(reverse(LIST)).status_code == 200
        assert add(client).status_code == 403
        act(client, "revoke_selected", Invitation.objects.get())
        assert Invitation.objects.get().state == InvitationState.OPEN

    def test_queries_do_not_grow(self, admin_client, staff, group):
        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                admin_client.get(reverse(LIST))
            return len(queries)

        def make(number: int) -> None:
            made = invitations.invite(Offer(groups=[group], lasts=WEEK), staff)
            invitations.accept(made.invitation, User.objects.create_user(f"u{number}"))

        make(0)
        count()
        few = count()
        for number in range(1, 9):
            make(number)
        assert count() == few


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("a@x.org b@x.org", ["a@x.org", "b@x.org"]),
        ("Ann B <A@x.org>; b@x.org,,\r\n\n a@x.org", ["a@x.org", "b@x.org"]),
        ("nonsense", ["nonsense"]),
    ],
)
def test_addresses_in_a_text(text, found):
    assert addresses_in(text) == found
