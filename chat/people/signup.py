"""Who may make an account here: what administrators chose, and what the settings pin."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import DomainNameValidator

from chat.models import SignupMode, SignupPolicy

_ROW = 1
_SILENT = {"django.core.mail.backends.console.EmailBackend", "django.core.mail.backends.dummy.EmailBackend"}
_is_domain = DomainNameValidator()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds now."""

    mode: SignupMode
    domains: tuple[str, ...]
    verifies_email: bool
    """Always where the domain of an address is what lets somebody in: else anybody could type one."""
    groups: tuple[Group, ...]
    closed_text: str
    pinned: dict[str, str]
    """The names of what the settings decide, each with the variable that does."""

    def admits(self, email: str) -> bool:
        """Tell whether this address lets somebody in without an invitation."""
        if self.mode == SignupMode.DOMAIN:
            return email.rpartition("@")[2].lower() in self.domains
        return self.mode == SignupMode.OPEN


def policy() -> Policy:
    """Return what holds now: what the settings say, else what was chosen in the admin."""
    row = stored()
    pinned = {}
    mode, domains, verifies = SignupMode(row.mode), list(row.domains), row.verifies_email
    if settings.CHAT_SIGNUP:
        pinned["mode"] = "CHAT_SIGNUP"
        # The check chat.E023 tells of a word that means nothing; until then nobody gets in by it.
        mode = SignupMode(settings.CHAT_SIGNUP) if settings.CHAT_SIGNUP in SignupMode.values else SignupMode.CLOSED
    if settings.CHAT_SIGNUP_DOMAINS:
        pinned["domains"] = "CHAT_SIGNUP_DOMAINS"
        domains = settings.CHAT_SIGNUP_DOMAINS
    if settings.CHAT_SIGNUP_VERIFY is not None:
        pinned["verifies_email"] = "CHAT_SIGNUP_VERIFY"
        verifies = settings.CHAT_SIGNUP_VERIFY
    return Policy(
        mode=mode,
        domains=tuple(clean_domain(domain) for domain in domains),
        verifies_email=verifies or mode == SignupMode.DOMAIN,
        groups=tuple(row.groups.all()) if row.pk else (),
        closed_text=row.closed_text,
        pinned=pinned,
    )


def stored() -> SignupPolicy:
    """Return what was chosen in the admin; the defaults, not stored, where nothing was."""
    return SignupPolicy.objects.filter(pk=_ROW).first() or SignupPolicy()


def store(row: SignupPolicy) -> None:
    """Keep what was chosen; what the settings pin is kept for when they no longer do."""
    row.pk = _ROW
    row.save()


def clean_domain(text: str) -> str:
    return text.strip().lower().removeprefix("@").rstrip(".")


def check_domain(domain: str) -> str:
    """Return the domain as it is compared.

    Raises:
        ValidationError: it is none.
    """
    cleaned = clean_domain(domain)
    try:
        _is_domain(cleaned)
    except ValidationError as error:
        raise ValidationError(f"{domain}: {error.messages[0]}") from error
    return cleaned


def has_mail() -> bool:
    """Tell whether mails reach anybody: without EMAIL_URL they go to the server's terminal."""
    return settings.EMAIL_BACKEND not in _SILENT
