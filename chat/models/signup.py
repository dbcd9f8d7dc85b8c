"""Who may make an account: the policy of the site, and invitations."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from chat.models.people import User
from chat.querysets import InvitationQuerySet


class SignupMode(models.TextChoices):
    CLOSED = "closed", _("Nobody: an administrator adds people")
    INVITATION = "invitation", _("Who has an invitation")
    DOMAIN = "domain", _("Who has an e-mail address in one of the domains, or an invitation")
    OPEN = "open", _("Everybody")


class SignupPolicy(models.Model):
    """What administrators chose, in one row; ``chat.people.signup`` says what holds, which the settings may pin."""

    mode = models.CharField(
        _("who may sign up"), max_length=12, choices=SignupMode, default=SignupMode.INVITATION, blank=False
    )
    domains = models.JSONField(_("domains"), default=list, blank=True)
    """Of e-mail addresses, in lower case and without the @."""
    verifies_email = models.BooleanField(
        _("e-mail addresses must be verified"),
        default=False,
        help_text=_("New people can sign in once they opened the link in a mail."),
    )
    groups = models.ManyToManyField(
        Group,
        blank=True,
        verbose_name=_("groups of new people"),
        help_text=_("Whoever signs up is a member from the start."),
    )
    closed_text = models.TextField(
        _("what is told who may not sign up"),
        blank=True,
        max_length=2000,
        help_text=_("For instance whom to ask for an account. Empty for the usual words."),
    )

    class Meta:
        verbose_name = _("sign-up policy")
        verbose_name_plural = _("sign-up policy")

    def __str__(self) -> str:
        return str(self.get_mode_display())


class InvitationState(models.TextChoices):
    OPEN = "open", pgettext_lazy("an invitation", "open")
    USED = "used", _("used")
    EXPIRED = "expired", _("expired")
    REVOKED = "revoked", pgettext_lazy("an invitation", "revoked")


class Invitation(models.Model):
    """A link by which somebody may make an account. Its secret is stored as a hash: nobody can read the link again."""

    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    """SHA-256 of the token, in hexadecimal. It has 256 bits of chance: there is nothing to guess, nor to salt."""
    email = models.EmailField(_("e-mail"), blank=True, help_text=_("Whom it is for; empty for anybody who has it."))
    groups = models.ManyToManyField(Group, blank=True, verbose_name=_("groups"))
    uses = models.PositiveIntegerField(_("uses"), default=1)
    """How many accounts may be made by it."""
    used = models.PositiveIntegerField(_("used"), default=0, editable=False)
    note = models.CharField(_("note"), max_length=200, blank=True, help_text=_("For administrators."))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("by")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    mailed_at = models.DateTimeField(_("sent"), null=True, editable=False)
    """When the present link was sent to the address: whoever opens it has shown that the address is theirs."""
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["-created_at"], name="invitation_newest")]
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return self.email or f"#{self.pk}"

    def state_at(self, now: datetime) -> InvitationState:
        """Return whether it can be accepted at this moment, or why not."""
        if self.revoked_at:
            return InvitationState.REVOKED
        if self.used >= self.uses:
            return InvitationState.USED
        return InvitationState.EXPIRED if self.expires_at <= now else InvitationState.OPEN

    @property
    def state(self) -> InvitationState:
        return self.state_at(timezone.now())

    @property
    def state_name(self) -> str | Promise:
        return self.state.label


class InvitationUse(models.Model):
    """An account that was made by an invitation."""

    invitation = models.ForeignKey(Invitation, models.CASCADE, related_name="accepted", verbose_name=_("invitation"))
    person = models.OneToOneField(
        User, models.SET_NULL, null=True, related_name="accepted_invitation", verbose_name=_("person")
    )
    username = models.CharField(_("username"), max_length=150)
    """At that time; it stays when the person is deleted."""
    at = models.DateTimeField(_("when"), default=timezone.now)

    class Meta:
        ordering = ["at"]
        verbose_name = _("accepted invitation")
        verbose_name_plural = _("accepted invitations")

    def __str__(self) -> str:
        return self.username
