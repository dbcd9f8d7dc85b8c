"""Imports: what was read from an upload, what came of it, and how to take it back."""

from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.conversations import Conversation
from chat.models.people import User
from chat.querysets import ImportedConversationQuerySet


class ImportBatch(models.Model):
    """One upload of one person: read first, imported when they say so, undone when they want."""

    class Status(models.TextChoices):
        READING = "reading", _("being read")
        READY = "ready", _("read, not imported yet")
        IMPORTING = "importing", _("being imported")
        IMPORTED = "imported", _("imported")
        UNDOING = "undoing", _("being undone")
        UNDONE = "undone", _("undone")

    owner = models.ForeignKey(User, models.CASCADE, related_name="imports", verbose_name=_("owner"))
    file_name = models.CharField(_("file"), max_length=200)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.READING)
    problems = models.JSONField(default=list)
    """What is wrong with the file as a whole, in words."""
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    def __str__(self) -> str:
        return self.file_name

    def get_absolute_url(self) -> str:
        return reverse("chat:import", args=[self.pk])


class ImportedConversation(models.Model):
    """One conversation of an upload: what would be done with it, and what was done."""

    class Plan(models.TextChoices):
        NEW = "new", _("New")
        MORE = "more", _("New messages")
        KNOWN = "known", _("Already there")
        REFUSED = "refused", _("Cannot be read")

    class Outcome(models.TextChoices):
        NONE = "", _("Not imported")
        IMPORTED = "imported", _("Imported")
        FAILED = "failed", _("Not imported")
        UNDONE = "undone", _("Undone")
        KEPT = "kept", _("Kept")

    batch = models.ForeignKey(ImportBatch, models.CASCADE, related_name="items")
    position = models.PositiveIntegerField()
    source = models.CharField(max_length=20, blank=True)
    """The format: a key of ``chat.transfer.formats``."""
    source_id = models.CharField(max_length=100, blank=True)
    """What the conversation is called where it comes from; by it a second upload finds it again."""
    title = models.CharField(max_length=200, blank=True)
    messages = models.PositiveIntegerField(default=0)
    fresh = models.PositiveIntegerField(default=0)
    """Messages that are not there yet; afterwards, the ones that were stored."""
    branches = models.PositiveIntegerField(default=0)
    plan = models.CharField(max_length=8, choices=Plan)
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.NONE, blank=True)
    notes = models.JSONField(default=list)
    """Why it is refused, what was mended and what was left out, in words."""
    payload = models.TextField(blank=True)
    """The conversation in our own format; empty once it is imported."""
    conversation = models.ForeignKey(Conversation, models.SET_NULL, null=True, related_name="+")
    added = models.JSONField(default=list)
    """The ids of the messages that were added to a conversation that was there; to be undone by."""
    leaf_before = models.BigIntegerField(null=True)
    """The end of the branch that such a conversation showed."""

    objects = ImportedConversationQuerySet.as_manager()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["batch", "position"], name="import_position")]
        indexes = [models.Index(fields=["source", "source_id"], name="import_by_source")]

    def __str__(self) -> str:
        return self.title
