"""Who may make an account: the policy, from the admin and the settings, at the form."""

from __future__ import annotations

import re

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.test import Client
from django.urls import reverse

from chat.checks import check_signup
from chat.models import AuditEntry, SignupMode, SignupPolicy, User
from chat.people import signup
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_runner")]

PAGE = "admin:signup_policy"
CONSOLE = "django.core.mail.backends.console.EmailBackend"


def choose(**values) -> SignupPolicy:
    groups = values.pop("groups", [])
    row = SignupPolicy(**values)
    signup.store(row)
    row.groups.set(groups)
    return row


def sign_up(client: Client, name: str = "dora", email: str = "dora@example.org", **more):
    data = {"username": name, "email": email, "password1": PASSWORD, "password2": PASSWORD, **more}
    return client.post(reverse("account_signup"), data)


def is_in(client: Client) -> bool:
    return client.get("/").status_code == 200


class TestOpen:
    def test_it_works(self, client):
        group = Group.objects.create(name="New")
        choose(mode="open", groups=[group])
        assert "Make an account" in client.get(reverse("account_login")).content.decode()
        assert sign_up(client)["Location"] == "/"
        made = User.objects.get()
        assert list(made.groups.all()) == [group]
        assert not made.is_staff
        assert not made.must_verify_email
        assert is_in(client)
        assert AuditEntry.objects.filter(action="person.signed_up", actor="dora").exists()

    def test_nobody_makes_themselves_more(self, client):
        choose(mode="open")
        sign_up(client, is_superuser="on", is_staff="on", must_verify_email="", groups="1")
        made = User.objects.get()
        assert [made.is_superuser, made.is_staff] == [False, False]

    def test_a_taken_address_is_refused(self, client, alice):
        choose(mode="open")
        response = sign_up(client, email="Alice@example.org")
        assert response.status_code == 200
        assert "email" in response.context["form"].errors

    def test_with_verification(self, client):
        choose(mode="open", verifies_email=True)
        assert sign_up(client, email="").context["form"].errors.keys() == {"email"}
        assert sign_up(client)["Location"] == reverse("account_email_verification_sent")
        assert not is_in(client)
        login = {"login": "dora", "password": PASSWORD}
        assert client.post(reverse("account_login"), login)["Location"] == reverse("account_email_verification_sent")
        assert not is_in(client)
        link = re.search(r"http://testserver(/accounts/confirm-email/\S+)", mail.outbox[0].body)[1]
        client.post(link)
        client.post(reverse("account_login"), login)
        assert is_in(client)

    def test_with_verification_nobody_learns_who_has_an_account(self, client, alice):
        choose(mode="open", verifies_email=True)
        response = sign_up(client, email="alice@example.org")
        assert response["Location"] == reverse("account_email_verification_sent")
        assert User.objects.count() == 1
        assert mail.outbox[0].to == ["alice@example.org"]

    def test_a_later_policy_locks_out_nobody(self, client, alice):
        choose(mode="open", verifies_email=True)
        client.post(reverse("account_login"), {"login": "alice", "password": PASSWORD})
        assert is_in(client)
        assert not mail.outbox


class TestDomain:
    def test_it_works(self, client):
        choose(mode="domain", domains=["example.org"])
        assert signup.policy().verifies_email
        assert sign_up(client, email="dora@Example.org")["Location"] == reverse("account_email_verification_sent")
        made = User.objects.get()
        assert made.must_verify_email
        assert not EmailAddress.objects.get(user=made).verified
        assert not is_in(client)

    @pytest.mark.parametrize(
        "email", ["dora@example.com", "dora@sub.example.org", "dora@notexample.org", "example.org@evil.example", ""]
    )
    def test_others_are_refused(self, client, email):
        choose(mode="domain", domains=["example.org"])
        response = sign_up(client, email=email)
        assert "email" in response.context["form"].errors
        assert not User.objects.exists()

    def test_without_domains_nobody_gets_in(self, client):
        choose(mode="domain")
        assert "email" in sign_up(client).context["form"].errors


class TestClosed:
    @pytest.mark.parametrize("mode", ["closed", "invitation"])
    def test_it_works(self, client, mode):
        choose(mode=mode, closed_text="Ask <Ann> on floor 2.")
        page = client.get(reverse("account_signup")).content.decode()
        assert "Ask &lt;Ann&gt; on floor 2." in page
        assert "password1" not in page
        sign_up(client)
        assert not User.objects.exists()
        assert "Make an account" not in client.get(reverse("account_login")).content.decode()

    def test_nothing_chosen_means_by_invitation(self, client):
        assert signup.policy().mode == SignupMode.INVITATION
        assert not SignupPolicy.objects.exists()
        assert "You need an invitation" in client.get(reverse("account_signup")).content.decode()

    def test_it_may_be_closed_while_somebody_types(self, client):
        choose(mode="open")
        client.get(reverse("account_signup"))
        choose(mode="closed")
        sign_up(client)
        assert not User.objects.exists()


class TestPinned:
    def test_it_works(self, client, staff, settings):
        choose(mode="open", domains=["example.com"])
        settings.CHAT_SIGNUP, settings.CHAT_SIGNUP_DOMAINS = "domain", ["@Example.org"]
        policy = signup.policy()
        assert (policy.mode, policy.domains) == (SignupMode.DOMAIN, ("example.org",))
        client.force_login(staff)
        page = client.get(reverse(PAGE)).content.decode()
        assert "Set by CHAT_SIGNUP in the settings." in page
        client.post(reverse(PAGE), {"mode": "open", "domains": "evil.example", "closed_text": "Words"})
        assert (signup.policy().mode, signup.policy().domains) == (SignupMode.DOMAIN, ("example.org",))
        assert signup.policy().closed_text == "Words"
        # What was chosen before comes back when it is no longer pinned.
        settings.CHAT_SIGNUP, settings.CHAT_SIGNUP_DOMAINS = "", []
        assert (signup.policy().mode, signup.policy().domains) == (SignupMode.OPEN, ("example.com",))

    def test_verification(self, settings):
        choose(mode="open", verifies_email=True)
        settings.CHAT_SIGNUP_VERIFY = False
        assert not signup.policy().verifies_email
        choose(mode="domain")
        assert signup.policy().verifies_email

    def test_a_wrong_word_lets_nobody_in(self, settings, client):
        settings.CHAT_SIGNUP = "everybody"
        assert signup.policy().mode == SignupMode.CLOSED
        assert [found.id for found in check_signup(None)] == ["chat.E023"]

    def test_the_check_wants_mail(self, settings):
        settings.CHAT_SIGNUP = "domain"
        assert check_signup(None) == []
        settings.EMAIL_BACKEND = CONSOLE
        assert [found.id for found in check_signup(None)] == ["chat.W023"]


class TestAdmin:
    @pytest.fixture
    def admin_client(self, staff) -> Client:
        client = Client()
        client.force_login(staff)
        return client

    def test_it_works(self, admin_client):
        group = Group.objects.create(name="New")
        form = {
            "mode": "domain", "domains": "@Example.org\n\nexample.com\nexample.org", "groups": [group.pk],
            "closed_text": "Ask us.",
        }  # fmt: skip
        assert admin_client.post(reverse(PAGE), form).status_code == 302
        policy = signup.policy()
        assert policy.domains == ("example.org", "example.com")
        assert policy.groups == (group,)
        assert policy.verifies_email
        entry = AuditEntry.objects.latest("number")
        assert (entry.action, entry.actor) == ("signup.changed", "staff")
        assert "mode" in entry.detail["fields"]
        assert "Sign-up" in admin_client.get(reverse("admin:index")).content.decode()

    @pytest.mark.parametrize(
        ("form", "field"),
        [
            ({"mode": "domain"}, "domains"),
            ({"mode": "domain", "domains": "not a domain"}, "domains"),
            ({"mode": "everybody"}, "mode"),
            ({}, "mode"),
            ({"mode": "open", "groups": ["999"]}, "groups"),
        ],
    )
    def test_wrong_choices_are_refused(self, admin_client, form, field):
        response = admin_client.post(reverse(PAGE), form)
        assert response.status_code == 422
        assert field in response.context["form"].errors
        assert not SignupPolicy.objects.exists()

    def test_it_says_when_no_mail_is_set_up(self, admin_client, settings):
        choose(mode="domain", domains=["example.org"])
        assert "No mail is set up" not in admin_client.get(reverse(PAGE)).content.decode()
        settings.EMAIL_BACKEND = CONSOLE
        assert "No mail is set up" in admin_client.get(reverse(PAGE)).content.decode()

    def test_it_needs_the_permission(self, client, alice):
        alice.is_staff = True
        alice.save()
        client.force_login(alice)
        assert client.get(reverse(PAGE)).status_code == 403
        assert "Sign-up" not in client.get(reverse("admin:index")).content.decode()

    def test_nobody_gives_by_it_what_they_lack(self, client, alice):
        """Or else: open the sign-up into a powerful group, and sign up."""
        powerful = Group.objects.create(name="Powerful")
        powerful.permissions.add(Permission.objects.get(codename="delete_user"))
        User.objects.filter(pk=alice.pk).update(is_staff=True)
        alice.user_permissions.add(Permission.objects.get(codename="change_signuppolicy"))
        client.force_login(alice)
        response = client.post(reverse(PAGE), {"mode": "open", "groups": [powerful.pk]})
        assert "groups" in response.context["form"].errors
        choose(mode="open", groups=[powerful])
        assert client.post(reverse(PAGE), {"mode": "closed"}).status_code == 302
        assert signup.policy().groups == (powerful,)
