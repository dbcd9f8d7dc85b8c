"""The form of an assistant: all that it is, with what the settings decide beside it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backends import chat_backends
from chat.admin.assistant_backends import health_of_all
from chat.admin.prices import PriceFields
from chat.models import Assistant
from chat.parameters import PARAMETERS
from chat.usage import tokens_in
from chat.workshop.switching import newest_version

_NUMBERS: dict[str, Any] = {"decimal": forms.FloatField, "whole": forms.IntegerField}


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

    backend = forms.ChoiceField(label=_("Backend"))
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
        self._offer_backends()
        for name, parameter in PARAMETERS.items():
            if name in self.fields:
                self.fields[name] = _bounded(name, self.fields[name].label or parameter.label)
        if "model" in self.fields:
            self.fields["model"].widget.attrs |= {"list": "models", "autocomplete": "off", "spellcheck": "false"}
        if "system_prompt" in self.fields:
            self._count_prompt()
        if "avatar" in self.fields:
            avatar = '<span class="avatar-preview" data-avatar aria-hidden="true">{}</span>'
            preview = format_html(avatar, self._shown("avatar"))
            self.fields["avatar"].help_text = format_html("{} {}", preview, self.fields["avatar"].help_text)

    def clean(self) -> dict[str, Any]:
        """Refuse once where somebody else saved the assistant while this form was open."""
        cleaned = super().clean() or {}
        seen = self.data.get("seen_version", "")
        newest = newest_version(self.instance.pk) if seen.isdecimal() and self.instance.pk else None
        if newest and newest.number != int(seen):
            who = newest.by or gettext("Somebody")
            raise forms.ValidationError(
                gettext(
                    "%(who)s saved version %(number)s while this form was open; its history shows what changed. "
                    "Save again to put what is below in its place."
                )
                % {"who": who, "number": newest.number}
            )
        return cleaned

    def _shown(self, name: str) -> str:
        """Return what a field shows; not by its bound field, which would keep the help text that it has until now."""
        value = self.data.get(name) if self.is_bound else self.get_initial_for_field(self.fields[name], name)
        return str(value or "")

    def _offer_backends(self) -> None:
        field = self.fields["backend"]
        assert isinstance(field, forms.ChoiceField)
        words = health_of_all()
        choices = [(alias, f"{chat_backends.label(alias)} ({alias}) – {words[alias]}") for alias in chat_backends]
        if self.instance.backend and self.instance.backend not in chat_backends:
            # Shown, so that saving anything else does not silently choose another one; clean() refuses it.
            choices.insert(0, (self.instance.backend, gettext("%s (not in the settings)") % self.instance.backend))
        field.choices = choices

    def _count_prompt(self) -> None:
        text = self._shown("system_prompt")
        told = gettext("%(characters)s characters, about %(tokens)s tokens, sent with every answer.")
        counted = told % {"characters": f"{len(text):,}", "tokens": f"{tokens_in(text):,}"}
        field = self.fields["system_prompt"]
        field.help_text = format_html('<span data-count="{}">{}</span>', told, counted)
        field.widget.attrs |= {"rows": 12, "dir": "auto"}


def _bounded(name: str, label: Any) -> forms.Field:
    """Return a field for one of the parameters that says its bounds, and says them again when they are not kept."""
    parameter = PARAMETERS[name]
    field: forms.Field = _NUMBERS[parameter.kind](
        required=False, min_value=parameter.minimum, max_value=parameter.maximum, label=label, help_text=parameter.help
    )
    wrong = _("Give a number from %(least)s to %(most)s, or leave it empty for the backend's own.") % {
        "least": f"{parameter.minimum:,}",
        "most": f"{parameter.maximum:,}",
    }
    field.error_messages = {"invalid": wrong, "min_value": wrong, "max_value": wrong}
    field.widget.attrs |= {"step": "0.01" if parameter.kind == "decimal" else "1", "autocomplete": "off"}
    return field


class AssistantRow(forms.ModelForm):  # type: ignore[type-arg]
    """A row of the list, whose fields say by name what they are and whose."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = f"{self.instance.name}: {field.label}"
