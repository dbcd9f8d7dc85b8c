"""What an administrator offers to people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models.signals import m2m_changed
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backends import chat_backends
from chat.models.versions import NOT_KEPT, keep_version
from chat.parameters import PARAMETERS, Values
from chat.querysets import AssistantQuerySet

if TYPE_CHECKING:
    from chat.models.prices import Price  # noqa: F401 - named by django-stubs' plugin


def is_list_of_strings(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValidationError(_('Give a list of texts, such as ["one", "two"].'))


def is_list_of_parameters(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) and item in PARAMETERS for item in value):
        names = ", ".join(PARAMETERS)
        raise ValidationError(_("Give a list of some of these names: %(names)s.") % {"names": names})


class Assistant(models.Model):
    """What an administrator offers to people: a backend with a prompt and parameters."""

    name = models.CharField(_("name"), max_length=80)
    slug = models.SlugField(_("slug"), unique=True)
    description = models.CharField(_("description"), max_length=200, blank=True)
    avatar = models.CharField(
        _("avatar"), max_length=8, blank=True, help_text=_("One or two letters or an emoji; empty for the sparkle.")
    )
    backend = models.CharField(_("backend"), max_length=80, help_text=_("An alias in settings.CHAT_BACKENDS."))
    model = models.CharField(
        _("model"), max_length=200, blank=True, help_text=_("Empty for the model that the backend is set up with.")
    )
    system_prompt = models.TextField(_("system prompt"), blank=True)
    temperature = models.FloatField(
        _("temperature"), null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(2)]
    )
    top_p = models.FloatField(
        _("top p"), null=True, blank=True, validators=[MinValueValidator(0.01), MaxValueValidator(1)]
    )
    max_output_tokens = models.PositiveIntegerField(
        _("max output tokens"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    stop = models.JSONField(
        _("stop"), default=list, blank=True, validators=[is_list_of_strings], help_text=_("Texts that end an answer.")
    )
    seed = models.BigIntegerField(_("seed"), null=True, blank=True, validators=[MinValueValidator(0)])
    adjustable = models.JSONField(
        _("people may change"),
        default=list,
        blank=True,
        validators=[is_list_of_parameters],
        help_text=_("Offered beside the message field."),
    )
    starters = models.JSONField(
        _("starters"),
        default=list,
        blank=True,
        validators=[is_list_of_strings],
        help_text=_("Questions that an empty page suggests."),
    )
    groups = models.ManyToManyField(
        Group, blank=True, verbose_name=_("groups"), help_text=_("Who may use it; none means everybody.")
    )
    order = models.PositiveSmallIntegerField(_("order"), default=0)
    is_active = models.BooleanField(_("active"), default=True)
    # What was set last; what an answer costs is in its prices, each with the time from which it holds.
    input_price = models.DecimalField(
        _("input price"), max_digits=9, decimal_places=4, default=Decimal(0), help_text=_("Per million input tokens.")
    )
    output_price = models.DecimalField(
        _("output price"), max_digits=9, decimal_places=4, default=Decimal(0), help_text=_("Per million output tokens.")
    )

    objects = AssistantQuerySet.as_manager()

    prices_set_by = ""
    """Who is about to change the prices: a username; not stored with the assistant but with the price."""

    class Meta:
        ordering = ["order", "name"]
        verbose_name = _("assistant")
        verbose_name_plural = _("assistants")

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store it, keep that as a version, and let new prices hold from now on; past cost stays what it was."""
        with transaction.atomic():
            known = Assistant.objects.filter(pk=self.pk).values_list("input_price", "output_price").first()
            super().save(*args, **kwargs)
            stored = Assistant.objects.filter(pk=self.pk).values_list("input_price", "output_price").get()
            is_told = stored != known or self.prices_set_by
            if known is None or (is_told and stored != self.price_at(timezone.now())):
                self.prices.create(input_price=stored[0], output_price=stored[1], by=self.prices_set_by)
            keep_version(self.pk)

    def clean(self) -> None:
        if self.backend not in chat_backends:
            raise ValidationError(
                {"backend": _("settings.CHAT_BACKENDS has no alias “%(alias)s”.") % {"alias": self.backend}}
            )

    @staticmethod
    def is_kept(names: Iterable[str]) -> bool:
        """Tell whether versions keep one of the fields of these names."""
        return not NOT_KEPT.issuperset(names)

    @staticmethod
    def keep_versions(pks: Iterable[int]) -> None:
        """Keep what these assistants are now, each as a version."""
        for pk in pks:
            keep_version(pk)

    @property
    def backend_label(self) -> str:
        return chat_backends.label(self.backend)

    def bounds(self, name: str) -> tuple[float, float | None]:
        """Return the least and the greatest value that people may give to a parameter."""
        parameter = PARAMETERS[name]
        is_limited = name == "max_output_tokens" and self.max_output_tokens is not None
        return parameter.minimum, self.max_output_tokens if is_limited else parameter.maximum

    def parameters(self, changed: Values) -> dict[str, Any]:
        """Return what an answer is asked for with: the assistant's values, and what people may change and did.

        A greater length than people may choose today, remembered from another day or assistant, becomes the greatest.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in PARAMETERS}
        values |= {name: value for name, value in changed.items() if name in self.adjustable and name in PARAMETERS}
        if self.max_output_tokens and values["max_output_tokens"]:
            values["max_output_tokens"] = min(values["max_output_tokens"], self.max_output_tokens)
        values |= {"system_prompt": self.system_prompt or None, "stop": self.stop or None}
        return {name: value for name, value in values.items() if value is not None}

    def price_at(self, moment: datetime) -> tuple[Decimal, Decimal]:
        """Return what a million input and output tokens cost then."""
        price = self.prices.in_force(moment)
        return (price.input_price, price.output_price) if price else (self.input_price, self.output_price)

    def cost(self, input_tokens: int, output_tokens: int, at: datetime | None = None) -> Decimal:
        """Return what an answer costs that starts then, or now, in the currency of the prices."""
        for_input, for_output = self.price_at(at or timezone.now())
        return (for_input * input_tokens + for_output * output_tokens) / 1_000_000


def _groups_changed(sender: Any, instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **kw: Any) -> None:
    """Keep a version when the groups of an assistant were changed, from whichever side."""
    if action in {"post_add", "post_remove", "post_clear"}:
        for pk in (pk_set or ()) if reverse else [instance.pk]:
            keep_version(pk)


m2m_changed.connect(_groups_changed, sender=Assistant.groups.through, dispatch_uid="versions")
