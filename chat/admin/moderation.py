"""What moderation found, to be looked at; the words that it looks for."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from backends.moderation.words import compile_rules
from chat import audit
from chat.admin.common import Audited, ReadOnlyAdmin
from chat.admin.lists import DoneFilter
from chat.audit import Target
from chat.models import ModerationFlag, ModerationRule, User
from chat.moderation.wordlist import rule_of


class ReviewedFilter(DoneFilter):
    left, done = _("new"), _("reviewed")


@admin.register(ModerationFlag)
class ModerationFlagAdmin(ReadOnlyAdmin):
    """Who, when, by which rule, and whether somebody looked; the text is on the page of the conversation alone."""

    list_display = ["at", "person", "kind", "action", "moderator", "rule", "where", "state"]
    list_select_related = ["person"]
    list_filter = [("reviewed_at", ReviewedFilter), "kind", "action"]
    search_fields = ["person__username", "person__email", "rule", "moderator"]
    fields = ["at", "person", "kind", "action", "moderator", "rule", "where", "state"]
    readonly_fields = ["where", "state"]
    actions = ["mark_reviewed"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A flag goes with its conversation, or when a retention rule says so."""
        return False

    def has_review_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.change_moderationflag")

    @admin.display(description=_("conversation"))
    def where(self, flag: ModerationFlag) -> SafeString | str:
        if flag.conversation_id is None:
            return str(_("not stored"))
        url = reverse("admin:chat_conversation_change", args=[flag.conversation_id])
        return format_html('<a href="{}">{}</a>', url, _("Show"))

    @admin.display(description=_("state"), ordering="reviewed_at")
    def state(self, flag: ModerationFlag) -> str:
        return str(_("reviewed by %(name)s")) % {"name": flag.reviewed_by} if flag.reviewed_at else str(_("new"))

    @admin.action(description=_("Mark the selected flags as reviewed"), permissions=["review"])
    def mark_reviewed(self, request: HttpRequest, queryset: QuerySet[ModerationFlag]) -> None:
        """Note who looked at the selected flags, and when."""
        user, marked = cast("User", request.user), 0
        for flag in queryset.filter(reviewed_at=None):
            own = ModerationFlag.objects.filter(pk=flag.pk, reviewed_at=None)
            if own.update(reviewed_at=timezone.now(), reviewed_by=user.username):
                marked += 1
                audit.append("moderation.reviewed", user, Target(kind="moderationflag", id=str(flag.pk)))
        text = ngettext("%d flag is reviewed.", "%d flags are reviewed.", marked) % marked
        self.message_user(request, text, messages.SUCCESS)


class ModerationRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A rule that can be searched by."""

    class Meta:
        model = ModerationRule
        fields = ["name", "pattern", "is_regex", "action", "words", "is_active"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("pattern"):
            try:
                compile_rules([rule_of(ModerationRule(**{**values, "name": values.get("name", "")}))])
            except ValueError as error:
                raise ValidationError({"pattern": str(error)}) from error
        return values


@admin.register(ModerationRule)
class ModerationRuleAdmin(Audited):
    form = ModerationRuleForm
    list_display = ["name", "pattern", "is_regex", "action", "is_active"]
    list_filter = ["is_active", "action"]
    search_fields = ["name", "pattern"]
