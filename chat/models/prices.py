"""What answers cost, and from when."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.assistants import Assistant
from chat.querysets import PriceQuerySet


class Price(models.Model):
    """What an assistant costs from a moment on, until its next price. The first one holds for all time before, too.

    Rows are added and never changed, so that past cost stays what it was.
    """

    assistant = models.ForeignKey(Assistant, models.CASCADE, related_name="prices", verbose_name=_("assistant"))
    starts_at = models.DateTimeField(_("from"), default=timezone.now)
    input_price = models.DecimalField(_("input price"), max_digits=9, decimal_places=4)
    output_price = models.DecimalField(_("output price"), max_digits=9, decimal_places=4)
    by = models.CharField(_("set by"), max_length=150, blank=True)
    """A username; empty where no administrator set it."""
    set_at = models.DateTimeField(_("set"), default=timezone.now)

    objects = PriceQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_at", "-pk"]
        indexes = [models.Index(fields=["assistant", "-starts_at"], name="price_at_a_time")]
        verbose_name = _("price")
        verbose_name_plural = _("prices")

    def __str__(self) -> str:
        return f"{self.assistant}: {self.input_price} / {self.output_price}"

    @property
    def is_future(self) -> bool:
        return self.starts_at > timezone.now()

    def cost(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return what an answer of this many tokens costs, in the currency of the prices."""
        return (self.input_price * input_tokens + self.output_price * output_tokens) / 1_000_000
