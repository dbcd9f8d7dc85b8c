"""What all of the admin's pages have in common: the audit log is told."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from chat import witness


class Audited(admin.ModelAdmin):  # type: ignore[type-arg]
    """Tells the audit log what is deleted: of that the admin sends no signal."""

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        entries = super().log_deletions(request, queryset)
        witness.tell_all(entries)
        return entries
