"""How each answer came to be, and its text while it is written."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.assistants import Assistant
from chat.models.conversations import Message
from chat.querysets import GenerationQuerySet


class Status(models.TextChoices):
    """OpenAI's words for the life of a response."""

    QUEUED = "queued", _("queued")
    IN_PROGRESS = "in_progress", _("in progress")
    COMPLETED = "completed", _("completed")
    INCOMPLETE = "incomplete", _("incomplete")
    CANCELLED = "cancelled", _("cancelled")
    FAILED = "failed", _("failed")


class Generation(models.Model):
    """One run of a backend, which writes one message.

    The status changes only by a conditional update (``filter(pk=…, status=old).update(status=new) == 1``), so that
    finishing and cancelling cannot both win.
    """

    message = models.OneToOneField(Message, models.CASCADE, related_name="generation", primary_key=True)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.QUEUED)
    finish_reason = models.CharField(_("finish reason"), max_length=20, blank=True)
    error_code = models.CharField(_("error code"), max_length=40, blank=True)
    error_detail = models.TextField(_("error detail"), blank=True)
    """For administrators: the backend's own sentence and hint, without prompt or key."""
    retry_at = models.DateTimeField(_("may be tried again"), null=True)
    """When the backend said that it will take another request; only where it did."""
    assistant = models.ForeignKey(Assistant, models.SET_NULL, null=True, verbose_name=_("assistant"))
    assistant_name = models.CharField(_("assistant"), max_length=80)
    backend = models.CharField(_("backend"), max_length=80)
    model = models.CharField(_("model"), max_length=200, blank=True)
    parameters = models.JSONField(_("parameters"), default=dict)
    input_tokens = models.PositiveIntegerField(_("input tokens"), null=True)
    output_tokens = models.PositiveIntegerField(_("output tokens"), null=True)
    cost = models.DecimalField(_("cost"), max_digits=12, decimal_places=6, default=Decimal(0))
    queued_at = models.DateTimeField(_("queued"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True)
    first_delta_at = models.DateTimeField(_("first delta"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    heartbeat_at = models.DateTimeField(_("heartbeat"), null=True)
    worker = models.CharField(_("worker"), max_length=100, blank=True)
    """The process that writes the answer: host, process id and a nonce."""
    stage = models.CharField(_("stage"), max_length=10, blank=True)
    """Why there was no text yet when that was last told, in the words of ``backends.StageName``; idle once there is."""
    stage_position = models.PositiveIntegerField(_("place in the queue"), null=True)
    """1 is next; only while the stage is ``queued``."""
    is_copy = models.BooleanField(_("copy"), default=False, editable=False)
    """Of an answer in another conversation, from which a fork took it: it cost nothing, and is not counted as usage."""
    is_imported = models.BooleanField(_("imported"), default=False, editable=False)
    """It came with an import: this site did not write it, and its tokens and cost are nobody's use of this site."""

    objects = GenerationQuerySet.as_manager()

    class Meta:
        ordering = ["-queued_at", "-pk"]
        indexes = [
            # Not a partial index: SQLite, which is sent parameters, cannot tell that their rows are in one.
            models.Index(fields=["status", "queued_at"], name="generation_by_status"),
            # With the key: by the time alone, the admin's order is sorted anew for each page, among all rows.
            models.Index(fields=["-queued_at", "-message"], name="generation_newest"),
            models.Index(fields=["backend", "status", "finished_at"], name="generation_outcomes"),
        ]
        verbose_name = _("generation")
        verbose_name_plural = _("generations")

    def __str__(self) -> str:
        return f"{self.assistant_name} {self.get_status_display()}"

    @property
    def is_running(self) -> bool:
        """Whether the answer may still grow."""
        return self.status in {Status.QUEUED, Status.IN_PROGRESS}

    @property
    def seconds(self) -> float | None:
        """How long the backend took, in seconds; None while it is not known, or where the clock was set meanwhile."""
        if self.started_at and self.finished_at and self.started_at <= self.finished_at:
            return (self.finished_at - self.started_at).total_seconds()
        return None

    @property
    def was_continued(self) -> bool:
        """Whether it was cut and written on: then the times are those of its last part alone."""
        return bool(self.started_at and self.first_delta_at and self.first_delta_at < self.started_at)

    @property
    def seconds_to_text(self) -> float | None:
        """How long the person waited for the first text; None where there was none, or the answer was continued."""
        if self.first_delta_at is None or self.was_continued or self.first_delta_at < self.queued_at:
            return None
        return (self.first_delta_at - self.queued_at).total_seconds()

    @property
    def tokens_per_second(self) -> float | None:
        """How quickly it was written, from its first text on; None where that is not known or too short to say."""
        if not (self.output_tokens and self.first_delta_at and self.finished_at) or self.was_continued:
            return None
        took = (self.finished_at - self.first_delta_at).total_seconds()
        return self.output_tokens / took if took > 0.05 else None


class DraftPiece(models.Model):
    """Text of an answer that is being written, since ``Message.content`` was written last; see ``chat.pieces``."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="pieces", db_constraint=False)
    """Without a constraint in the database: whoever deletes the message does not wait for who writes it."""
    offset = models.PositiveIntegerField()
    """Length of the text before this piece, in code points."""
    text = models.TextField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.message_id}+{self.offset}"
