"""Which usage somebody asks for."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backends import chat_backends
from chat.models import Grain, Status, UsageRollUp, User
from chat.overview.records import Filter
from chat.rollups import day_of, days_later

DAYS = 30
"""That are shown where nobody says which."""
MOST_DAYS = 732
OUTCOMES = (Status.COMPLETED, Status.INCOMPLETE, Status.CANCELLED, Status.FAILED)


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class FilterForm(forms.Form):
    """Days, and what the usage in them has in common; all of it may be left empty."""

    start = forms.DateField(label=_("From"), required=False, widget=DateInput)
    end = forms.DateField(label=_("To"), required=False, widget=DateInput)
    person = forms.CharField(label=_("Person"), required=False, max_length=150)
    assistant = forms.TypedChoiceField(label=_("Assistant"), required=False, coerce=int, empty_value=None)
    backend = forms.ChoiceField(label=_("Backend"), required=False)
    outcome = forms.ChoiceField(label=_("Outcome"), required=False)

    def __init__(self, data: Any) -> None:
        today = timezone.localdate()
        first = {"start": (today - timedelta(days=DAYS - 1)).isoformat(), "end": today.isoformat()}
        given = {name: data.get(name, "") for name in self.base_fields if data.get(name)}
        super().__init__({**first, **given})
        used = UsageRollUp.objects.filter(grain=Grain.DAY).values_list("assistant_id", "backend")
        known = list(used.annotate(Max("assistant_name")).order_by("assistant_id"))
        assistants = {pk: name for pk, _alias, name in known}
        aliases = {alias: alias for _pk, alias, _name in known} | {
            alias: chat_backends.label(alias) for alias in chat_backends
        }
        choices: dict[str, list[tuple[Any, Any]]] = {
            "assistant": sorted(assistants.items(), key=lambda one: one[1]),
            "backend": sorted(aliases.items(), key=lambda one: str(one[1])),
            "outcome": [(status.value, status.label) for status in OUTCOMES],
        }
        for name, values in choices.items():
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", _("All")), *values]

    def clean_person(self) -> int | None:
        """Return the id of who has this username, or this id."""
        name = self.cleaned_data["person"].strip()
        if not name:
            return None
        if pk := User.objects.filter(username=name).values_list("pk", flat=True).first():
            return pk
        if name.isdecimal() and len(name) < 19:
            return int(name)  # somebody who was deleted, perhaps
        raise ValidationError(_("Nobody is called “%(name)s”."), params={"name": name})

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = self.cleaned_data
        start, end = cleaned.get("start"), cleaned.get("end")
        if start and end and start > end:
            self.add_error("end", _("The last day is before the first."))
        elif start and end and (end - start).days >= MOST_DAYS:
            self.add_error("start", _("These are more than two years: choose fewer days."))
        return cleaned

    @property
    def chosen(self) -> Filter:
        """What was asked for; of a valid form."""
        cleaned = self.cleaned_data
        return Filter(
            start=_begins(cleaned["start"]),
            end=days_later(_begins(cleaned["end"]), 1),
            user_id=cleaned["person"],
            assistant_id=cleaned["assistant"],
            backend=cleaned["backend"],
            outcome=cleaned["outcome"],
        )

    @property
    def last_day(self) -> date:
        day: date = self.cleaned_data["end"]
        return day

    @property
    def query(self) -> str:
        """The same question, as part of an address."""
        return urlencode({name: value for name, value in self.data.items() if value})


def _begins(day: date) -> datetime:
    return day_of(timezone.make_aware(datetime.combine(day, time(12))))
