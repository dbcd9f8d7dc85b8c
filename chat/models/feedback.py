"""What people think of answers."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.conversations import Message
from chat.models.people import User


class Rating(models.IntegerChoices):
    GOOD = 1, _("good")
    BAD = -1, _("bad")


class Reason(models.TextChoices):
    """Why an answer is good or bad, in words that can be counted."""

    CORRECT = "correct", _("Correct")
    CLEAR = "clear", _("Clear")
    COMPLETE = "complete", _("Complete")
    WRONG = "wrong", _("Not correct")
    OFF_TOPIC = "off_topic", _("Not what I asked")
    TOO_SHORT = "too_short", _("Too short")
    TOO_LONG = "too_long", _("Too long")
    HARMFUL = "harmful", _("Harmful")


REASONS: dict[int, tuple[Reason, ...]] = {
    Rating.GOOD: (Reason.CORRECT, Reason.CLEAR, Reason.COMPLETE),
    Rating.BAD: (Reason.WRONG, Reason.OFF_TOPIC, Reason.TOO_SHORT, Reason.TOO_LONG, Reason.HARMFUL),
}
"""Which of them suit which rating."""


class Feedback(models.Model):
    """What one person thinks of one answer. It goes with the answer, and with the person."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="feedback", verbose_name=_("message"))
    person = models.ForeignKey(User, models.CASCADE, related_name="feedback", verbose_name=_("person"))
    value = models.SmallIntegerField(_("rating"), choices=Rating)
    reasons = models.JSONField(_("reasons"), default=list, blank=True)
    """Values of ``Reason`` that suit the rating."""
    comment = models.TextField(_("comment"), blank=True)
    shares_exchange = models.BooleanField(_("conversation may be read"), default=False)
    """The person said that administrators may read the conversation up to this answer."""
    reviewed_at = models.DateTimeField(_("reviewed"), null=True, blank=True, editable=False)
    reviewed_by = models.CharField(_("reviewed by"), max_length=150, blank=True, editable=False)
    """The username at that time."""
    review_note = models.TextField(
        _("note"), blank=True, max_length=2000, help_text=_("For administrators; the person does not see it.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)

    class Meta:
        ordering = ["-updated_at"]
        constraints = [models.UniqueConstraint(fields=["message", "person"], name="one_feedback_a_person")]
        indexes = [models.Index(fields=["-updated_at", "-id"], name="feedback_newest")]
        verbose_name = _("feedback")
        verbose_name_plural = _("feedback")

    def __str__(self) -> str:
        return f"{self.get_value_display()}: {self.comment}" if self.comment else self.get_value_display()
