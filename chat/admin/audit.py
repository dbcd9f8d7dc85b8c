"""Who did what with rights over others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from chat.admin.common import NeverChangingAdmin, ValuesFilter
from chat.models import AuditEntry

ACTS = {
    "admin.added": _("Added in the admin"),
    "admin.changed": _("Changed in the admin"),
    "admin.deleted": _("Deleted in the admin"),
    "assistant.ordered": _("Put assistants into another order"),
    "assistant.reverted": _("Restored a version of an assistant"),
    "assistant.switched": _("Applied rehearsed settings to an assistant"),
    "audit.purged": _("Old entries of this log were deleted"),
    "backend.drained": _("Drained a backend"),
    "backend.restored": _("Brought a backend back"),
    "feedback.exported": _("Exported feedback"),
    "generation.cancelled": _("Cancelled an answer"),
    "hold.lifted": _("Lifted a legal hold"),
    "hold.read": _("Read a held conversation"),
    "hold.set": _("Set a legal hold"),
    "invitation.accepted": _("Accepted an invitation"),
    "invitation.created": _("Invited somebody"),
    "invitation.renewed": _("Sent an invitation again"),
    "invitation.revoked": _("Revoked an invitation"),
    "login": _("Signed in"),
    "login.failed": _("Failed to sign in"),
    "logout": _("Signed out"),
    "moderation.flagged": _("Moderation flagged a text"),
    "moderation.refused": _("Moderation refused a text"),
    "moderation.reviewed": _("Reviewed what moderation flagged"),
    "person.deactivated": _("Deactivated a person"),
    "person.joined": _("Put a person into a group"),
    "person.left": _("Took a person out of a group"),
    "person.password_link": _("Sent a link for a new password"),
    "person.reactivated": _("Reactivated a person"),
    "person.signed_out": _("Signed a person out everywhere"),
    "person.signed_up": _("Made an account"),
    "purged": _("What was over was deleted"),
    "rehearsal.exported": _("Exported a rehearsal"),
    "rehearsal.opened": _("Said why they read a rehearsal"),
    "rehearsal.read": _("Read a rehearsal"),
    "signup.changed": _("Changed who may make an account"),
    "transcript.read": _("Read a conversation"),
    "transcript.rehearsed": _("Used a conversation in a rehearsal"),
    "usage.exported": _("Exported usage"),
}
"""What is done, in words."""


class ActFilter(ValuesFilter):
    """What was done, in words."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": ACTS.get(str(choice["display"]), choice["display"])}


@admin.register(AuditEntry)
class AuditEntryAdmin(NeverChangingAdmin):
    list_display = ["number", "at", "actor", "act", "target_type", "target_id", "target"]
    list_filter = [("action", ActFilter), "target_type", "at"]
    search_fields = ["actor", "target", "target_id"]

    @admin.display(description=_("act"), ordering="action")
    def act(self, entry: AuditEntry) -> str:
        return str(ACTS.get(entry.action, entry.action))
