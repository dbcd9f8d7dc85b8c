"""Who did what with rights that reach beyond their own conversations."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.querysets import AppendOnlyError, AppendOnlyQuerySet


class AuditEntry(models.Model):
    """One act. Each is sealed together with the one before it, so that none can be changed or taken out unnoticed.

    No text of any message is in it. ``chat.audit`` alone writes entries.
    """

    number = models.BigIntegerField(_("number"), unique=True)
    """1, 2, 3 … without a gap."""
    at = models.DateTimeField(_("when"), default=timezone.now, db_index=True)
    actor_id = models.BigIntegerField(_("who (id)"), null=True)
    actor = models.CharField(_("who"), max_length=150, blank=True)
    """The username at that time; empty for the site itself and for strangers."""
    action = models.CharField(_("act"), max_length=40, db_index=True)
    target_type = models.CharField(_("kind of thing"), max_length=40, blank=True)
    target_id = models.CharField(_("thing (id)"), max_length=64, blank=True)
    target = models.CharField(_("thing"), max_length=200, blank=True)
    concerns_id = models.BigIntegerField(_("whose (id)"), null=True, db_index=True)
    """The person whose things these are, where that is somebody else; they can see the entry."""
    detail = models.JSONField(_("detail"), default=dict)
    seal = models.CharField(_("seal"), max_length=64)
    """HMAC-SHA256, in hexadecimal, of this entry and the seal before it, with a key made of the site's secret key."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")

    def __str__(self) -> str:
        return f"{self.number} {self.action}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store a new entry.

        Raises:
            AppendOnlyError: it is stored already.
        """
        if not self._state.adding:
            raise AppendOnlyError("An audit entry never changes.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse.

        Raises:
            AppendOnlyError: always.
        """
        raise AppendOnlyError("An audit entry is never deleted.")


class AuditHead(models.Model):
    """The newest number and seal, in one row: who appends holds it, and who cuts the end off is found out."""

    number = models.BigIntegerField(default=0)
    seal = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return str(self.number)
