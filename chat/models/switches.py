"""What administrators turn off for a while."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Drain(models.Model):
    """A backend that takes no new answers; those that it has go on to their end. Gone when it is brought back."""

    EVERYTHING = "*"
    """The alias that stands for all backends: the site is about to be stopped."""

    alias = models.CharField(_("backend"), max_length=80, primary_key=True)
    message = models.CharField(
        _("message"), max_length=200, blank=True, help_text=_("What people are told; empty for the usual words.")
    )
    by = models.CharField(_("by"), max_length=150, blank=True)
    since = models.DateTimeField(_("since"), default=timezone.now)

    class Meta:
        ordering = ["alias"]
        verbose_name = _("drained backend")
        verbose_name_plural = _("drained backends")

    def __str__(self) -> str:
        return self.alias
