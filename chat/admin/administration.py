"""What administrators run the site by: quotas, what was used, who did what, backends that are drained."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from backends import chat_backends
from chat.admin.audited import Audited
from chat.models import AuditEntry, Drain, Quota, UsageRecord


class NeverChangingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """For rows that are written once."""

    show_full_result_count = False  # a count of millions for one number

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Quota)
class QuotaAdmin(Audited):
    list_display = ["__str__", "user", "group", "assistant", "metric", "limit", "period", "is_rolling", "is_active"]
    list_select_related = ["user", "group", "assistant"]
    list_filter = ["is_active", "metric", "period", "assistant", "group"]
    search_fields = ["user__username", "user__email", "group__name", "assistant__name"]
    autocomplete_fields = ["user"]
    fieldsets = [
        (_("Whom it is for"), {"fields": ["user", "group", "assistant", "is_shared"]}),
        (_("How much"), {"fields": [("limit", "metric"), ("period", "is_rolling"), "is_active"]}),
    ]


@admin.register(UsageRecord)
class UsageRecordAdmin(NeverChangingAdmin):
    list_display = [
        "at",
        "username",
        "assistant_name",
        "backend",
        "outcome",
        "input_tokens",
        "output_tokens",
        "cost",
        "first_text_ms",
        "duration_ms",
    ]
    list_filter = ["outcome", "backend", "assistant_name", "is_estimated", "at"]
    search_fields = ["username", "assistant_name", "model"]
    date_hierarchy = "at"


@admin.register(AuditEntry)
class AuditEntryAdmin(NeverChangingAdmin):
    list_display = ["number", "at", "actor", "action", "target_type", "target_id", "target"]
    list_filter = ["action", "target_type", "at"]
    search_fields = ["actor", "target", "target_id"]
    date_hierarchy = "at"


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
