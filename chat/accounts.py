"""Who may have an account, and how the first one comes to be."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.core import signing
from django.http import HttpRequest
from django.urls import reverse

from chat.models import User

_SALT = "chat.owner"
OWNER_LINK_AGE = 60 * 60 * 24
"""Seconds for which a link that makes the first administrator is good."""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made by an administrator."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


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
