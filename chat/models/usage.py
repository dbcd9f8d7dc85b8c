"""What was used: one record for each run of a backend, which outlives the conversation and never changes."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.generations import Status
from chat.querysets import AppendOnlyError, AppendOnlyQuerySet


class Purpose(models.TextChoices):
    """What a backend was asked for."""

    ANSWER = "answer", _("answer")
    TRIAL = "trial", _("try-out of an assistant")
    REHEARSAL = "rehearsal", _("rehearsal")


class UsageRecord(models.Model):
    """One run of a backend: who, when, what it took, what it cost at the price of that day, how it ended.

    Names and numbers, no foreign keys: it stays as it is when the person, the assistant or the conversation is deleted.
    An answer that was continued has a record for each run. ``chat.usage`` alone writes them.
    """

    at = models.DateTimeField(_("finished"), default=timezone.now)
    user_id = models.BigIntegerField(_("user id"))
    username = models.CharField(_("user"), max_length=150)
    assistant_id = models.BigIntegerField(_("assistant id"), null=True)
    assistant_name = models.CharField(_("assistant"), max_length=80)
    backend = models.CharField(_("backend"), max_length=80)
    model = models.CharField(_("model"), max_length=200, blank=True)
    purpose = models.CharField(_("purpose"), max_length=10, choices=Purpose, default=Purpose.ANSWER)
    generation_id = models.BigIntegerField(_("generation"))
    """Below 0 where it was no answer in a conversation: then the conversation is the UUID of nothing but zeros."""
    conversation_id = models.UUIDField(_("conversation"))
    input_tokens = models.PositiveIntegerField(_("input tokens"), default=0)
    output_tokens = models.PositiveIntegerField(_("output tokens"), default=0)
    is_estimated = models.BooleanField(_("estimated"), default=False)
    """The backend did not say how many tokens there were; they were guessed from the length of the texts."""
    cost = models.DecimalField(_("cost"), max_digits=12, decimal_places=6, default=0)
    waited_ms = models.PositiveIntegerField(_("waited, ms"), null=True)
    """From the question until a worker took it."""
    first_text_ms = models.PositiveIntegerField(_("first text, ms"), null=True)
    """From the question until the first text was stored; empty where there was none."""
    duration_ms = models.PositiveIntegerField(_("duration, ms"), null=True)
    """From the worker's start to the end."""
    outcome = models.CharField(_("outcome"), max_length=12, choices=Status)
    finish_reason = models.CharField(_("finish reason"), max_length=20, blank=True)
    error_code = models.CharField(_("error code"), max_length=40, blank=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["-at", "-id"], name="usage_newest"),
            models.Index(fields=["user_id", "-at"], name="usage_of_user"),
            models.Index(fields=["assistant_id", "-at"], name="usage_of_assistant"),
            models.Index(fields=["backend", "-at"], name="usage_of_backend"),
        ]
        verbose_name = _("usage record")
        verbose_name_plural = _("usage records")

    def __str__(self) -> str:
        return f"{self.username}, {self.assistant_name}, {self.at:%Y-%m-%d %H:%M}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store a new record.

        Raises:
            AppendOnlyError: it is stored already.
        """
        if not self._state.adding:
            raise AppendOnlyError("A usage record never changes.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse.

        Raises:
            AppendOnlyError: always; ``manage.py purge`` is what forgets old ones.
        """
        raise AppendOnlyError("A usage record is never deleted by itself.")
