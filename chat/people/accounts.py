"""How accounts come to be: the first one by a link from the terminal, the others as the sign-up policy says."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.app_settings import AppSettings
from allauth.account.stages import EmailVerificationStage
from django.core import signing
from django.http import HttpRequest
from django.urls import reverse

from chat.models import SignupMode, User
from chat.people import invitations, signup

_SALT = "chat.owner"
OWNER_LINK_AGE = 60 * 60 * 24
"""Seconds for which a link that makes the first administrator is good."""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made by an administrator, and by those whom the sign-up policy lets in."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        mode = signup.policy().mode
        if mode in {SignupMode.OPEN, SignupMode.DOMAIN}:
            return True
        return mode == SignupMode.INVITATION and invitations.remembered(request) is not None

    def get_login_stages(self) -> list[str]:
        ours = f"{__name__}.{VerificationStage.__name__}"
        return [ours if stage.endswith(".EmailVerificationStage") else stage for stage in super().get_login_stages()]


class VerificationStage(EmailVerificationStage):  # type: ignore[misc]
    """Holds up those alone who signed up where addresses must be verified, whatever the policy is today."""

    def handle(self) -> Any:
        user = self.login.user
        # Nobody is who gave the address of somebody else at sign-up: they are not told so.
        must = user.must_verify_email if user else True
        methods = AppSettings.EmailVerificationMethod
        self.login.email_verification = methods.MANDATORY if must else methods.NONE
        return super().handle()


def needs_owner() -> bool:
    """Whether nobody can administrate the site yet."""
    return not User.objects.filter(is_superuser=True).exists()


def owner_path() -> str:
    """Return the path of the page on which the owner makes the first administrator.

    Whoever has it is the one who reads the terminal of the server; it is good for a day and until it was used.
    """
    return reverse("chat:setup", args=[signing.dumps("owner", salt=_SALT)])


def is_owner_token(token: str) -> bool:
    """Whether this is a token of ``owner_path`` that is not too old, on a site that still needs an owner."""
    try:
        signing.loads(token, salt=_SALT, max_age=OWNER_LINK_AGE)
    except signing.BadSignature:
        return False
    return needs_owner()
