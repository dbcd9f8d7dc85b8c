"""How much people may use."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from chat.admin.common import Audited
from chat.models import Quota


@admin.register(Quota)
class QuotaAdmin(Audited):
    list_display = ["__str__", "user", "group", "assistant", "is_rolling", "is_active"]
    list_select_related = ["user", "group", "assistant"]
    list_filter = ["is_active", "metric", "period", "assistant", "group"]
    search_fields = ["user__username", "user__email", "group__name", "assistant__name"]
    autocomplete_fields = ["user"]
    fieldsets = [
        (_("Whom it is for"), {"fields": ["user", "group", "assistant", "is_shared"]}),
        (_("How much"), {"fields": [("limit", "metric"), ("period", "is_rolling"), "is_active"]}),
    ]
