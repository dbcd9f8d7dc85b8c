"""Who did what with rights over others."""

from __future__ import annotations

from django.contrib import admin

from chat.admin.common import NeverChangingAdmin
from chat.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(NeverChangingAdmin):
    list_display = ["number", "at", "actor", "action", "target_type", "target_id", "target"]
    list_filter = ["action", "target_type", "at"]
    search_fields = ["actor", "target", "target_id"]
