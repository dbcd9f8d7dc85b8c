"""Shared links: what was shown of a conversation at one moment, for whoever has the link."""

from __future__ import annotations

import secrets

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.conversations import Conversation, Role
from chat.querysets import ShareQuerySet


def new_token() -> str:
    """Return a word that nobody guesses: 192 random bits."""
    return secrets.token_urlsafe(24)


class Share(models.Model):
    """A link to a snapshot of a conversation. It holds no name, address or id of the owner."""

    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    """In clear, so that its owner can copy the link again; docs/adr/0016-shared-links.md says why."""
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="shares", verbose_name=_("conversation")
    )
    title = models.CharField(_("title"), max_length=200)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    snapshot_at = models.DateTimeField(_("snapshot of"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = ShareQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["expires_at"], name="share_by_expiry"),
            models.Index(fields=["-created_at", "-id"], name="share_newest"),
        ]
        verbose_name = _("shared link")
        verbose_name_plural = _("shared links")

    def __str__(self) -> str:
        return f"{_('shared link')} {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("chat:shared", args=[self.token])

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_live(self) -> bool:
        """Whether the link opens, as far as this row alone knows."""
        return self.revoked_at is None and not self.is_expired


class SharedMessage(models.Model):
    """One message of a snapshot: a copy, which nothing that happens to the conversation changes."""

    share = models.ForeignKey(Share, models.CASCADE, related_name="messages")
    position = models.PositiveIntegerField()
    role = models.CharField(max_length=10, choices=Role)
    name = models.CharField(max_length=80, blank=True)
    """Of the assistant that answered."""
    content = models.TextField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["share", "position"], name="shared_message_position")]

    def __str__(self) -> str:
        return f"{self.role} {self.position}"
