"""What answers took."""

from __future__ import annotations

from django.contrib import admin

from chat.admin.common import NeverChangingAdmin
from chat.models import UsageRecord


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
