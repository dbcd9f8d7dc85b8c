"""What assistants cost: in the form of each, and the history of all."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from chat.admin.common import Audited
from chat.models import Assistant, Price

SHOWN = 20
"""Prices of an assistant that its form shows; the list of prices has all."""


def refuse_past(moment: datetime | None) -> None:
    """Do nothing for a time to come, or none.

    Raises:
        ValidationError: it is past.
    """
    if moment is not None and moment < timezone.now():
        raise ValidationError(_("What answers cost until now does not change: give a time to come, or none."))


class MomentInput(forms.DateTimeInput):
    """A date and a time in one field, which browsers know how to choose."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class PriceFields(forms.ModelForm):  # type: ignore[type-arg]
    """The prices of an assistant in its form: they hold from now on, or from a time to come."""

    price_from = forms.DateTimeField(
        label=_("Holds from"),
        required=False,
        widget=MomentInput,
        validators=[refuse_past],
        help_text=_("When these prices begin to hold; empty for now. What answers cost before does not change."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "input_price" in self.fields:
            # A price that was set for a later time may have begun to hold since the assistant was saved.
            self.initial["input_price"], self.initial["output_price"] = self.instance.price_at(timezone.now())

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.cleaned_data.get("price_from") and not self.instance.pk:
            self.add_error("price_from", _("Save the assistant first; what it costs now comes before what it will."))
        return cleaned

    @property
    def later(self) -> Price | None:
        """The price that was set for a time to come, not stored yet."""
        starts_at = self.cleaned_data.get("price_from")
        if starts_at is None:
            return None
        prices = {name: self.cleaned_data[name] for name in ("input_price", "output_price")}
        return Price(assistant=self.instance, starts_at=starts_at, **prices)


class Priced(admin.ModelAdmin):  # type: ignore[type-arg]
    """For the admin of assistants: keeps the history of their prices, and shows it."""

    class Media:
        css: ClassVar = {"all": ["chat/admin-prices.css"]}

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Prices go with their assistant, though none can be deleted by itself."""
        names, counts, missing, protected = super().get_deleted_objects(objs, request)
        return names, counts, missing - {str(Price._meta.verbose_name)}, protected

    def save_model(self, request: HttpRequest, obj: Assistant, form: forms.ModelForm[Assistant], change: bool) -> None:
        """Store it; its prices hold from now on, or are noted for later."""
        obj.prices_set_by = by = request.user.get_username()
        told = form if isinstance(form, PriceFields) and "input_price" in form.cleaned_data else None
        later = told.later if told else None
        if change and (later or not told):
            # What the row says may be older than a price that was set for a later time and holds by now.
            obj.input_price, obj.output_price = obj.price_at(timezone.now())
        super().save_model(request, obj, form, change)
        if later:
            later.by = by
            later.save()

    @admin.display(description=_("History"))
    def price_history(self, assistant: Assistant) -> SafeString:
        """The prices of an assistant, the newest first."""
        prices = list(assistant.prices.all()[:SHOWN]) if assistant.pk else []
        now = assistant.prices.in_force(timezone.now()) if assistant.pk else None
        first = assistant.prices.order_by("starts_at", "pk").first() if assistant.pk else None
        context = {"prices": prices, "now": now, "first": first, "assistant": assistant}
        return render_to_string("admin/chat/price_history.html", context)


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A price to come."""

    class Meta:
        model = Price
        fields = ["assistant", "starts_at", "input_price", "output_price"]

        field_classes: ClassVar = {"starts_at": forms.DateTimeField}
        widgets: ClassVar = {"starts_at": MomentInput}

    def clean_starts_at(self) -> datetime:
        starts_at: datetime = self.cleaned_data["starts_at"]
        refuse_past(starts_at)
        return starts_at

    def clean_input_price(self) -> Decimal:
        return _not_negative(self.cleaned_data["input_price"])

    def clean_output_price(self) -> Decimal:
        return _not_negative(self.cleaned_data["output_price"])


def _not_negative(price: Decimal) -> Decimal:
    if price < 0:
        raise ValidationError(_("A price is not below 0."))
    return price


@admin.register(Price)
class PriceAdmin(Audited):
    """The history of all prices. Only what is yet to come can be taken back."""

    class Media:
        css: ClassVar = {"all": ["chat/admin-prices.css"]}

    form = PriceForm
    list_display = ["assistant", "starts_at", "input_price", "output_price", "by", "set_at"]
    list_select_related = ["assistant"]
    list_filter = ["assistant", "starts_at"]
    actions = None  # what holds or held is not deleted, and a selection may have any of it

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        is_past = isinstance(obj, Price) and not obj.is_future
        return not is_past and super().has_delete_permission(request, obj)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"starts_at": "", **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        obj.by = request.user.get_username()
        super().save_model(request, obj, form, change)
