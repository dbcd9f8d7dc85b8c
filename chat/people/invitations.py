"""Invitations: made, sent, renewed, revoked by administrators; accepted by whoever has the link.

A link is known to nobody but those who were shown or sent it: the site keeps a hash.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import Group
from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from chat import audit
from chat.audit import Target
from chat.models import Invitation, InvitationState, InvitationUse, User

TOKEN_BYTES = 32
"""Of chance in a link."""
_KEY = "invitation"
"""Under which a session remembers what its person was invited by."""


class InvitationGoneError(Exception):
    """It was used up or revoked, or its time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What an invitation is to be."""

    email: str = ""
    groups: Sequence[Group] = ()
    uses: int = 1
    lasts: timedelta
    note: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """An invitation, with the token that only this moment knows."""

    invitation: Invitation
    token: str

    def url(self, request: HttpRequest) -> str:
        return request.build_absolute_uri(reverse("chat:invitation", args=[self.token]))


def invite(offer: Offer, actor: User) -> Made:
    """Make an invitation; the link works from now on."""
    token = _new_token()
    with transaction.atomic():
        invitation = Invitation.objects.create(
            token_hash=_hash(token),
            email=offer.email.lower(),
            uses=1 if offer.email else offer.uses,
            note=offer.note,
            created_by=actor,
            expires_at=timezone.now() + offer.lasts,
        )
        invitation.groups.set(offer.groups)
        audit.append("invitation.created", actor, _target(invitation))
    return Made(invitation, token)


def renew(invitation: Invitation, actor: User) -> Made:
    """Give the invitation a new link, for as long as it had at first; the one before it works no longer.

    Raises:
        InvitationGoneError: it was used up or revoked.
    """
    token = _new_token()
    lasts = invitation.expires_at - invitation.created_at
    there = Invitation.objects.filter(pk=invitation.pk, revoked_at=None, used__lt=F("uses"))
    fresh = {"token_hash": _hash(token), "expires_at": timezone.now() + lasts, "mailed_at": None}
    with transaction.atomic():
        if there.update(**fresh) != 1:
            raise InvitationGoneError
        audit.append("invitation.renewed", actor, _target(invitation))
    invitation.refresh_from_db()
    return Made(invitation, token)


def revoke(invitation: Invitation, actor: User) -> bool:
    """Let nobody accept it any more; False if that was so already. Accounts that were made by it stay."""
    with transaction.atomic():
        if Invitation.objects.filter(pk=invitation.pk, revoked_at=None).update(revoked_at=timezone.now()) != 1:
            return False
        audit.append("invitation.revoked", actor, _target(invitation))
    return True


def send(request: HttpRequest, made: Sequence[Made]) -> list[Made]:
    """Send the links to the addresses that they are for; return those whose mails were taken.

    Raises:
        OSError: the mail server could not be reached, or refused; what was sent before is marked as sent.
    """
    sent = []
    with get_connection() as connection:
        for one in made:
            context = {"invitation": one.invitation, "url": one.url(request), "host": request.get_host()}
            subject = render_to_string("chat/mail/invitation_subject.txt", context, request).strip()
            body = render_to_string("chat/mail/invitation_message.txt", context, request)
            mail = EmailMessage(" ".join(subject.split()), body, to=[one.invitation.email], connection=connection)
            if one.invitation.email and mail.send():
                # Only if the link is still the one that was sent.
                current = Invitation.objects.filter(pk=one.invitation.pk, token_hash=_hash(one.token))
                current.update(mailed_at=timezone.now())
                sent.append(one)
    return sent


def find(token: str) -> Invitation | None:
    """Return the invitation of this link, whatever its state; None for a link that never was."""
    return Invitation.objects.filter(token_hash=_hash(token)).first()


def remember(request: HttpRequest, invitation: Invitation) -> None:
    """Let the person of this session sign up by the invitation."""
    request.session[_KEY] = invitation.token_hash


def remembered(request: HttpRequest) -> Invitation | None:
    """Return the invitation by which the person of this session may sign up now."""
    known = request.session.get(_KEY)
    return Invitation.objects.open().filter(token_hash=known).first() if isinstance(known, str) else None


def forget(request: HttpRequest) -> None:
    request.session.pop(_KEY, None)


def accept(invitation: Invitation, person: User) -> None:
    """Count the account, and put the person into the groups; in the transaction that makes the account.

    Raises:
        InvitationGoneError: somebody else took the last use a moment ago, or it was revoked.
    """
    if Invitation.objects.open().filter(pk=invitation.pk).update(used=F("used") + 1) != 1:
        raise InvitationGoneError
    InvitationUse.objects.create(invitation=invitation, person=person, username=person.username)
    person.groups.add(*invitation.groups.all())
    audit.append("invitation.accepted", person, _target(invitation))


def state_of(invitation: Invitation | None) -> InvitationState | None:
    return invitation.state_at(timezone.now()) if invitation else None


def _new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _target(invitation: Invitation) -> Target:
    return Target(kind="invitation", id=str(invitation.pk), name=invitation.email)
