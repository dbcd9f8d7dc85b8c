"""How much people may use: rules, what was counted for each, and what running answers have set aside."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from chat.models.assistants import Assistant
from chat.models.people import User
from chat.querysets import QuotaQuerySet

BUCKETS = 30
"""Parts of a rolling period; what was used in one is forgotten as a whole, once all of it is older than the period."""


class Metric(models.TextChoices):
    REQUESTS = "requests", _("requests")
    TOKENS = "tokens", _("tokens")
    COST = "cost", _("money")


class Period(models.TextChoices):
    MINUTE = "minute", _("minute")
    HOUR = "hour", _("hour")
    DAY = "day", _("day")
    MONTH = "month", _("month")


LENGTHS = {
    Period.MINUTE: timedelta(minutes=1),
    Period.HOUR: timedelta(hours=1),
    Period.DAY: timedelta(days=1),
    Period.MONTH: timedelta(days=30),
}
"""Of rolling periods."""


class Quota(models.Model):
    """A rule: so much of something in a period, for whom and of which assistant. All that apply hold at once."""

    user = models.ForeignKey(
        User, models.CASCADE, null=True, blank=True, verbose_name=_("user"), help_text=_("Empty for everybody.")
    )
    group = models.ForeignKey(
        Group, models.CASCADE, null=True, blank=True, verbose_name=_("group"), help_text=_("Empty for everybody.")
    )
    assistant = models.ForeignKey(
        Assistant, models.CASCADE, null=True, blank=True, verbose_name=_("assistant"), help_text=_("Empty for all.")
    )
    metric = models.CharField(_("what is counted"), max_length=10, choices=Metric, default=Metric.TOKENS)
    limit = models.DecimalField(
        _("limit"),
        max_digits=16,
        decimal_places=4,
        validators=[MinValueValidator(0)],
        help_text=_("Requests, tokens, or money in the currency of the prices. 0 allows nothing."),
    )
    period = models.CharField(_("period"), max_length=10, choices=Period, default=Period.DAY)
    is_rolling = models.BooleanField(
        _("rolling"),
        default=False,
        help_text=_("The last 60 seconds, 24 hours or 30 days, not since 00:00 or the 1st."),
    )
    is_shared = models.BooleanField(
        _("shared"), default=False, help_text=_("All of these people together, not each of them.")
    )
    is_active = models.BooleanField(_("active"), default=True)

    objects = QuotaQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        verbose_name = _("quota")
        verbose_name_plural = _("quotas")

    def __str__(self) -> str:
        return f"{self.user or self.group or _('everybody')}: {self.amount}"

    @property
    def amount(self) -> str:
        """How much in which period, in words."""
        limit = number_format(Decimal(self.limit or 0).normalize(), use_l10n=True, force_grouping=True)
        unit = settings.CHAT_CURRENCY if self.metric == Metric.COST else self.get_metric_display()
        return f"{limit} {unit} / {self.get_period_display()}"

    def clean(self) -> None:
        if self.user and self.group:
            raise ValidationError(_("Choose a user or a group, not both."))

    @property
    def length(self) -> timedelta:
        """Of the period, where it is rolling."""
        return LENGTHS[Period(self.period)]

    def bucket(self, now: datetime) -> datetime:
        """Return when the bucket began that what is used now counts for: the period, or a part of a rolling one."""
        if self.is_rolling:
            part = self.length / BUCKETS
            epoch = datetime(2020, 1, 1, tzinfo=now.tzinfo)
            return epoch + (now - epoch) // part * part
        return start_of(Period(self.period), now)

    def oldest_bucket(self, now: datetime) -> datetime:
        """Return the first bucket that counts now."""
        return self.bucket(now - self.length) if self.is_rolling else self.bucket(now)

    def ends(self, bucket: datetime) -> datetime:
        """Return when what was used in this bucket counts no longer."""
        if self.is_rolling:
            return bucket + self.length + self.length / BUCKETS
        return end_of(Period(self.period), bucket)


def start_of(period: Period, now: datetime) -> datetime:
    """Return when the minute, hour, day or month began, by the clock of the site's time zone."""
    local = timezone.localtime(now).replace(second=0, microsecond=0)
    match period:
        case Period.MINUTE:
            return local
        case Period.HOUR:
            return local.replace(minute=0)
        case Period.DAY:
            return local.replace(hour=0, minute=0)
        case _:
            return local.replace(day=1, hour=0, minute=0)


def end_of(period: Period, start: datetime) -> datetime:
    """Return when the minute, hour, day or month ends that began then."""
    local = timezone.localtime(start)
    match period:
        case Period.MINUTE | Period.HOUR:
            return start + LENGTHS[period]
        case Period.DAY:
            # By the calendar: the day on which clocks are set has 23 or 25 hours.
            return timezone.make_aware((local + timedelta(days=1)).replace(tzinfo=None))
        case _:
            months = local.year * 12 + local.month
            return timezone.make_aware(datetime(months // 12, months % 12 + 1, 1))  # noqa: DTZ001 - made aware


class QuotaCounter(models.Model):
    """What was used under a rule in one bucket of time, by one person or by all together."""

    quota = models.ForeignKey(Quota, models.CASCADE, related_name="counters")
    person = models.BigIntegerField()
    """A user's id; 0 for all together."""
    starts_at = models.DateTimeField()
    used = models.DecimalField(max_digits=20, decimal_places=6, default=Decimal(0))
    reserved = models.DecimalField(max_digits=20, decimal_places=6, default=Decimal(0))
    """Set aside by answers that are not over yet."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["quota", "person", "starts_at"], name="one_counter")]

    def __str__(self) -> str:
        return f"{self.quota_id}/{self.person} {self.starts_at:%Y-%m-%d %H:%M:%S}"


class Reservation(models.Model):
    """What one unfinished answer has set aside in one counter. Given back or turned into use when it ends."""

    generation = models.BigIntegerField(db_index=True)
    """Not a foreign key: it is settled also when the conversation was deleted meanwhile."""
    counter = models.ForeignKey(QuotaCounter, models.CASCADE, related_name="reservations")
    amount = models.DecimalField(max_digits=20, decimal_places=6)

    def __str__(self) -> str:
        return f"{self.generation}: {self.amount}"
