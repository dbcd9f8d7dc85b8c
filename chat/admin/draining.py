"""Backends that take no new answers for a while."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from backends import chat_backends
from chat.admin.common import Audited
from chat.models import Drain


class DrainForm(forms.ModelForm):  # type: ignore[type-arg]
    """A backend of the settings, or all of them."""

    alias = forms.ChoiceField(label=_("Backend"))

    class Meta:
        model = Drain
        fields = ["alias", "message"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        alias = self.fields["alias"]
        assert isinstance(alias, forms.ChoiceField)
        named = [(name, f"{chat_backends.label(name)} ({name})") for name in chat_backends]
        alias.choices = [(Drain.EVERYTHING, _("All of them")), *named]


@admin.register(Drain)
class DrainAdmin(Audited):
    """To add one drains it, to delete one brings it back."""

    form = DrainForm
    list_display = ["alias", "message", "by", "since"]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Drain, form: Any, change: bool) -> None:
        obj.by = request.user.get_username()
        super().save_model(request, obj, form, change)
