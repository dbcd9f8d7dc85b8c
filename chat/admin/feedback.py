"""What people think of answers."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from chat.admin.common import ReadOnlyAdmin
from chat.models import Feedback, Reason


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    list_display = ["rating", "comment", "reason_names", "assistant", "person", "conversation", "updated_at"]
    list_select_related = ["person", "message__conversation", "message__generation"]
    list_filter = ["value", "message__generation__assistant", "updated_at"]
    search_fields = ["comment", "person__username", "message__conversation__title"]
    exclude = ["message", "value", "reasons"]
    readonly_fields = ["rating", "reason_names", "assistant", "conversation"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Feedback goes with its answer, and is taken back by who gave it."""
        return False

    @admin.display(description=_("rating"), ordering="value")
    def rating(self, feedback: Feedback) -> str:
        return feedback.get_value_display()

    @admin.display(description=_("reasons"))
    def reason_names(self, feedback: Feedback) -> str:
        return ", ".join(str(Reason(reason).label) for reason in feedback.reasons if reason in Reason.values) or "–"

    @admin.display(description=_("assistant"), ordering="message__generation__assistant_name")
    def assistant(self, feedback: Feedback) -> str:
        return feedback.message.generation.assistant_name

    @admin.display(description=_("conversation"), ordering="message__conversation__title")
    def conversation(self, feedback: Feedback) -> SafeString:
        conversation = feedback.message.conversation
        url = reverse("admin:chat_conversation_change", args=[conversation.pk])
        return format_html('<a href="{}">{}</a>', url, conversation.title)
