"""What people talked about with assistants: to be looked at by those who may."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from chat import audit, history, pages
from chat.admin.common import ReadOnlyAdmin, WithAnswersAdmin
from chat.audit import Target
from chat.deleting import erase_conversation
from chat.models import Conversation, User
from chat.runner import runner


def erase(conversations: Iterable[Conversation]) -> None:
    """Erase them: what is being written there stops, and open pages are told. Nobody can restore them."""
    for conversation in conversations:
        for answer in erase_conversation(conversation):
            runner.cancel(answer)


@admin.register(Conversation)
class ConversationAdmin(WithAnswersAdmin, ReadOnlyAdmin):
    list_display = ["title", "owner", "assistant", "created_at", "updated_at", "is_archived"]
    list_select_related = ["owner", "assistant"]
    list_filter = ["assistant", "is_archived", "created_at"]
    search_fields = ["title", "owner__username", "owner__email"]
    fields = ["title", "owner", "assistant", "created_at", "updated_at", "transcript"]
    readonly_fields = ["transcript"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        """Leave out what its owner deleted."""
        return super().get_queryset(request).filter(deleted_at=None)

    def delete_model(self, request: HttpRequest, obj: Conversation) -> None:
        erase([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Conversation]) -> None:
        erase(queryset)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show it; that somebody read what another person wrote is written down."""
        response = super().change_view(request, object_id, *args, **kwargs)
        shown = Conversation.objects.filter(pk=unquote(object_id)).first() if response.status_code == 200 else None
        user = cast("User", request.user)
        if shown and shown.owner_id != user.pk and user.has_perm("chat.view_others_conversations"):
            target = Target(kind="conversation", id=str(shown.pk), owner_id=shown.owner_id)
            audit.append("transcript.read", user, target)
        return response

    def get_fields(self, request: HttpRequest, obj: Conversation | None = None) -> list[Any]:
        """Return the transcript only for those who may read what others wrote."""
        may_read = request.user.has_perm("chat.view_others_conversations")
        return [field for field in self.fields or [] if field != "transcript" or may_read]

    @admin.display(description=_("Messages"))
    def transcript(self, conversation: Conversation) -> SafeString:
        """The newest messages of the shown branch."""
        newest = history.branch(conversation, conversation.leaf_id, settings.CHAT_HISTORY_MESSAGES)
        context = {"turns": pages.turns(conversation, newest), "limit": settings.CHAT_HISTORY_MESSAGES}
        return render_to_string("admin/chat/transcript.html", context)
