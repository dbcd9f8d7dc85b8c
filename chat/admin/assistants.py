"""Assistants: what people may choose from."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from backends import chat_backends
from chat.admin.common import Audited
from chat.admin.prices import Priced, PriceFields
from chat.models import Assistant
from chat.parameters import PARAMETERS


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea(attrs={"rows": 4}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (value or "").splitlines() if line.strip()]


class AssistantForm(PriceFields):
    """An assistant, with the backends of the settings to choose from."""

    backend = forms.ChoiceField(label=_("Backend"), help_text=_("Named in settings.CHAT_BACKENDS."))
    starters = LinesField(label=_("Starters"), help_text=_("Questions that an empty page suggests, one a line."))
    stop = LinesField(label=_("Stop"), help_text=_("Texts that end an answer, one a line."))

    adjustable = forms.MultipleChoiceField(
        label=_("People may change"),
        choices=[(name, parameter.label) for name, parameter in PARAMETERS.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_(
            "Offered beside the message field. The max output tokens above are then the most that people can choose."
        ),
    )

    class Meta:
        model = Assistant
        fields = ["backend", "starters", "stop", "adjustable"]  # the admin adds the others

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(alias, f"{chat_backends.label(alias)} ({alias})") for alias in chat_backends]
        if self.instance.backend and self.instance.backend not in chat_backends:
            # Shown, so that saving anything else does not silently choose another one; clean() refuses it.
            choices.insert(0, (self.instance.backend, _("%s (not in the settings)") % self.instance.backend))
        field = self.fields["backend"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


class AssistantRow(forms.ModelForm):  # type: ignore[type-arg]
    """A row of the list, whose fields say by name what they are and whose."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = f"{self.instance.name}: {field.label}"


@admin.register(Assistant)
class AssistantAdmin(Priced, Audited):
    form = AssistantForm
    list_display = ["name", "backend", "model", "description", "order", "is_active"]
    list_editable = ["order", "is_active"]
    list_filter = ["is_active", "backend", "groups"]
    search_fields = ["name", "slug", "description", "model"]
    prepopulated_fields = {"slug": ["name"]}
    filter_horizontal = ["groups"]
    readonly_fields = ["price_history"]
    fieldsets = [
        (None, {"fields": [("name", "slug"), "description", "avatar", "starters"]}),
        (_("Model"), {"fields": ["backend", "model", "system_prompt"]}),
        (
            _("Parameters"),
            {
                "fields": [("temperature", "top_p"), ("max_output_tokens", "seed"), "stop", "adjustable"],
                "description": _("What is left empty is up to the backend."),
            },
        ),
        (_("Who may use it"), {"fields": ["groups", ("is_active", "order")]}),
        (_("Price"), {"fields": [("input_price", "output_price"), "price_from", "price_history"]}),
    ]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[forms.ModelForm[Assistant]]:
        return super().get_changelist_form(request, **{"form": AssistantRow, **kwargs})
