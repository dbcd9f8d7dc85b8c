"""Answers: how they went, and those that are being written."""

from __future__ import annotations

from typing import cast

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from chat.admin.common import ReadOnlyAdmin, ValuesFilter
from chat.admin.conversations import link_to
from chat.admin.intervening import cancel_answers
from chat.models import Generation, User


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    finds_owners = True
    list_display = [
        "conversation",
        "owner",
        "assistant_name",
        "state",
        "output_tokens",
        "first_delta_ms",
        "duration",
        "cost",
        "queued_at",
    ]
    list_display_links = ["queued_at"]  # the first column has a link of its own
    list_select_related = ["message__conversation__owner"]
    list_filter = [
        "status",
        ("finish_reason", ValuesFilter),
        ("error_code", ValuesFilter),
        "backend",
        "assistant",
        "is_copy",
        "is_imported",
        "queued_at",
    ]
    search_fields = ["message__conversation__owner__username", "message__conversation__owner__email"]
    exclude = ["message"]
    readonly_fields = ["conversation", "owner", "state", "first_delta_ms", "duration"]
    actions = ["cancel_selected"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Generation]:
        """Leave out the answers in conversations that their owner deleted."""
        return super().get_queryset(request).filter(message__conversation__deleted_at=None)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Answers go with their conversation only."""
        return False

    @admin.display(description=_("conversation"), ordering="message__conversation")
    def conversation(self, generation: Generation) -> SafeString:
        return link_to(generation.message.conversation_id)

    @admin.display(description=_("person"), ordering="message__conversation__owner__username")
    def owner(self, generation: Generation) -> str:
        return str(generation.message.conversation.owner)

    @admin.display(description=_("state"), ordering="status")
    def state(self, generation: Generation) -> SafeString:
        why = generation.error_code or generation.finish_reason
        text = (
            f"{generation.get_status_display()} ({why})" if why not in {"", "stop"} else generation.get_status_display()
        )
        return format_html('<span class="pill pill-{}">{}</span>', generation.status, text)

    @admin.display(description=_("first delta, ms"))
    def first_delta_ms(self, generation: Generation) -> str:
        if generation.first_delta_at is None:
            return "–"
        return f"{(generation.first_delta_at - generation.queued_at).total_seconds() * 1000:,.0f}"

    @admin.display(description=_("seconds"))
    def duration(self, generation: Generation) -> str:
        return "–" if generation.seconds is None else f"{generation.seconds:.1f}"

    @admin.action(description=_("Cancel the selected answers"), permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Generation]) -> None:
        """End the selected answers that are still being written; their text so far is kept."""
        unfinished = queryset.unfinished()  # type: ignore[attr-defined]
        cancelled = cancel_answers(cast("User", request.user), unfinished)
        text = ngettext("%d answer was cancelled.", "%d answers were cancelled.", cancelled) % cancelled
        self.message_user(request, text, messages.SUCCESS)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.change_generation")
