"""What was used, added up by hours and days of the site's time zone; ``chat.rollups`` alone writes these rows."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from chat.models.generations import Status


class Grain(models.TextChoices):
    HOUR = "hour"
    DAY = "day"


class RollUp(models.Model):
    """How many runs of a backend there were in an hour or a day, of one kind. Numbers and no foreign keys."""

    grain = models.CharField(max_length=4, choices=Grain)
    starts_at = models.DateTimeField()
    answers = models.PositiveBigIntegerField(default=0)

    class Meta:
        abstract = True


class Used(RollUp):
    """What runs took: of which assistant, by which backend and model, with which outcome."""

    assistant_id = models.BigIntegerField()
    """0 for an assistant that was deleted before the answer was over."""
    assistant_name = models.CharField(max_length=80)
    """The newest one: it is no part of what is told apart."""
    backend = models.CharField(max_length=80)
    model = models.CharField(max_length=200)
    outcome = models.CharField(max_length=12, choices=Status)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    cost = models.DecimalField(max_digits=18, decimal_places=6, default=Decimal(0))

    class Meta:
        abstract = True


class UsageRollUp(Used):
    """Of all people together, and why runs failed."""

    reason = models.CharField(max_length=40)
    """Of what did not come to its end: the error code, or else the finish reason."""

    KEYS = ("grain", "starts_at", "assistant_id", "backend", "model", "outcome", "reason")
    SUMS = ("answers", "input_tokens", "output_tokens", "cost")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "starts_at", "assistant_id", "backend", "model", "outcome", "reason"],
                name="one_usage_rollup",
            )
        ]

    def __str__(self) -> str:
        return f"{self.grain} {self.starts_at:%Y-%m-%d %H:%M} {self.assistant_name}"


class PersonRollUp(Used):
    """Of one person."""

    user_id = models.BigIntegerField()

    KEYS = ("grain", "starts_at", "user_id", "assistant_id", "backend", "model", "outcome")
    SUMS = UsageRollUp.SUMS

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "starts_at", "user_id", "assistant_id", "backend", "model", "outcome"],
                name="one_person_rollup",
            )
        ]
        indexes = [models.Index(fields=["user_id", "grain", "starts_at"], name="rollup_of_person")]

    def __str__(self) -> str:
        return f"{self.grain} {self.starts_at:%Y-%m-%d %H:%M} person {self.user_id}"


class FirstTextRollUp(RollUp):
    """How long people waited for the first text: a histogram, a row for each of its buckets that has answers."""

    backend = models.CharField(max_length=80)
    bucket = models.PositiveSmallIntegerField()
    """See ``chat.rollups.bucket_of``."""

    KEYS = ("grain", "starts_at", "backend", "bucket")
    SUMS = ("answers",)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["grain", "starts_at", "backend", "bucket"], name="one_first_text_rollup")
        ]

    def __str__(self) -> str:
        return f"{self.grain} {self.starts_at:%Y-%m-%d %H:%M} {self.backend} {self.bucket}"
