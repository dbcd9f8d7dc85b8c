"""The form by which somebody makes an account; django-allauth's, held to the sign-up policy."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as allauth_forms
from allauth.account.models import EmailAddress
from allauth.core import context
from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from chat import audit
from chat.models import Invitation, SignupMode, User
from chat.people import invitations, signup
from chat.people.invitations import InvitationGoneError


class SignupForm(allauth_forms.SignupForm):  # type: ignore[misc]
    """An invitation may fix the address, and the policy may want one in certain domains."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy = signup.policy()
        self.invitation = self._invitation()
        email = self.fields["email"]
        if self.invitation and self.invitation.email:
            # What is sent in its place is ignored.
            email.initial, email.disabled = self.invitation.email, True
        if self.policy.verifies_email or email.disabled:
            email.required, email.label = True, _("E-mail")
        if self.policy.mode == SignupMode.DOMAIN and not self.invitation:
            email.help_text = ", ".join(f"@{domain}" for domain in self.policy.domains)

    def _invitation(self) -> Invitation | None:
        return invitations.remembered(context.request) if self.policy.mode != SignupMode.CLOSED else None

    def clean_email(self) -> str:
        email: str = super().clean_email()
        if self.policy.mode == SignupMode.DOMAIN and not self.invitation and not self.policy.admits(email):
            known = ", ".join(self.policy.domains) or "–"
            raise forms.ValidationError(_("Only addresses in these domains: %(domains)s"), params={"domains": known})
        return email

    def validate_unique_email(self, value: str) -> str:
        """Refuse an address that has an account; where a mail follows anyway, its owner alone is told so."""
        try:
            unique: str = super().validate_unique_email(value)
        except forms.ValidationError:
            if self.invitation or not self.policy.verifies_email:
                raise
            self.account_already_exists = True
            return value
        return unique

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Make the account and count the invitation, or neither."""
        try:
            with transaction.atomic():
                user, response = super().try_save(request)
                if user is not None:
                    self._admit(user)
        except InvitationGoneError:
            return None, redirect("chat:invitation_gone")
        if user is not None:
            invitations.forget(request)
        return user, response

    def _admit(self, user: User) -> None:
        user.groups.add(*self.policy.groups)
        is_known = False
        if self.invitation:
            invitations.accept(self.invitation, user)
            # The link came by mail to this address: who has it reads what is sent there.
            is_known = bool(self.invitation.mailed_at and self.invitation.email.lower() == user.email.lower())
        elif not self.policy.admits(user.email):
            raise InvitationGoneError  # it was there when the page was opened
        else:
            audit.append("person.signed_up", user)
        if is_known:
            EmailAddress.objects.filter(user=user, email__iexact=user.email).update(verified=True)
        user.must_verify_email = self.policy.verifies_email and not is_known
        user.save(update_fields=["must_verify_email"])
