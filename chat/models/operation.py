"""What the processes of a site tell each other of how they and their backends fare."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class BackendState(models.Model):
    """What is known of one backend of the settings: what the last probe found, and whether it is cooling off.

    ``chat.operation.probing`` writes the first half, ``cooling`` beside it the second; each column by a conditional
    update or under a lock, because several processes do.
    """

    alias = models.CharField(_("backend"), max_length=80, primary_key=True)
    next_probe_at = models.DateTimeField(_("next probe"), default=timezone.now)
    """The lease: who moves it on makes the probe, all other processes come too late."""
    prober = models.CharField(_("probed by"), max_length=100, blank=True)
    probed_at = models.DateTimeField(_("last probe"), null=True)
    told_at = models.DateTimeField(_("last good probe that tells"), null=True)
    """When a probe last went well that says how answers will fare."""
    latency_ms = models.PositiveIntegerField(_("latency, ms"), null=True)
    error_code = models.CharField(_("error code"), max_length=40, blank=True)
    error_detail = models.TextField(_("error detail"), blank=True)
    """For administrators: the backend's own sentence and hint, without a key."""
    listed = models.JSONField(_("models"), default=list)
    """The last list of models that came, however the probes since went."""
    listed_at = models.DateTimeField(_("models listed"), null=True)
    figures = models.JSONField(_("figures"), default=dict)
    """What ``BaseChatBackend.status()`` said last."""

    failures = models.PositiveIntegerField(_("failed answers in a row"), default=0)
    probe_failures = models.PositiveIntegerField(_("failed probes in a row"), default=0)
    failing_since = models.DateTimeField(_("failing since"), null=True)
    failed_at = models.DateTimeField(_("last failure"), null=True)
    coolings = models.PositiveIntegerField(_("times cooled off"), default=0)
    """In a row, without an answer in between; each lasts longer than the one before."""
    cooling_until = models.DateTimeField(_("cooling off until"), null=True)
    trial_at = models.DateTimeField(_("tried"), null=True)
    """When an answer was let through to see whether it works again; empty before, and once it is known."""

    class Meta:
        ordering = ["alias"]
        default_permissions = ()
        permissions = [
            ("view_health", _("Can see how the site and its backends fare, and have them probed")),
            ("view_settings", _("Can see the settings of the site, without the secrets")),
        ]
        verbose_name = _("state of a backend")
        verbose_name_plural = _("states of backends")

    def __str__(self) -> str:
        return self.alias


class Worker(models.Model):
    """A process of the site that is alive, or was a moment ago."""

    name = models.CharField(_("name"), max_length=100, primary_key=True)
    """Host, process id and a nonce, as in ``Generation.worker``."""
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    seen_at = models.DateTimeField(_("last sign of life"), default=timezone.now)
    running = models.PositiveIntegerField(_("answers"), default=0)
    """How many it was writing then."""

    class Meta:
        ordering = ["started_at"]
        default_permissions = ()
        verbose_name = _("process")
        verbose_name_plural = _("processes")

    def __str__(self) -> str:
        return self.name
