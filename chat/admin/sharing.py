"""Links to snapshots of conversations."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from chat.admin.common import ReadOnlyAdmin
from chat.models import Share
from chat.sharing import revoke


@admin.register(Share)
class ShareAdmin(ReadOnlyAdmin):
    """Who shares, since when and until when; neither a text nor an address by which one could read it."""

    list_display = ["number", "owner", "created_at", "snapshot_at", "expires_at", "revoked_at"]
    list_select_related = ["conversation__owner"]
    list_filter = ["created_at", "expires_at", "revoked_at"]
    search_fields = ["conversation__owner__username", "conversation__owner__email"]
    fields = ["number", "owner", "created_at", "snapshot_at", "expires_at", "revoked_at"]
    readonly_fields = ["number", "owner"]
    actions = ["revoke_selected"]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse to filter by titles and addresses: whether something is found would say what is in them."""
        return not lookup.startswith(("title", "token")) and super().lookup_allowed(lookup, value, request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A link is revoked; that it was there is told to whoever opens it."""
        return False

    @admin.display(description=_("link"), ordering="pk")
    def number(self, share: Share) -> str:
        return str(share)

    @admin.display(description=_("person"), ordering="conversation__owner__username")
    def owner(self, share: Share) -> str:
        return str(share.conversation.owner)

    @admin.action(description=_("Revoke the selected links"), permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Share]) -> None:
        """End the selected links, and delete what they showed."""
        revoked = sum(revoke(share) for share in queryset)
        text = ngettext("%d link was revoked.", "%d links were revoked.", revoked) % revoked
        self.message_user(request, text, messages.SUCCESS)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.change_share")
