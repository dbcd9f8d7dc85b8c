"""How long things are kept, what is held, and what would go now."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from chat import audit, history, pages
from chat.admin.common import Audited
from chat.admin.lists import DoneFilter
from chat.admin_site import page
from chat.audit import Target
from chat.models import Conversation, LegalHold, PurgeRun, RetentionRule, User
from chat.retention import holds, purging

RUNS = 10
HELD = 50
"""Conversations that a hold's page links to."""


@admin.register(RetentionRule)
class RetentionRuleAdmin(Audited):
    list_display = ["kind", "whom", "period", "spares_pinned", "spares_archived"]
    list_select_related = ["group"]
    list_filter = ["kind", "group"]
    search_fields = ["group__name"]
    fieldsets = [
        (
            None,
            {
                "fields": ["kind", "group", "days"],
                "description": _(
                    "A group's rule holds for its members instead of the one for everybody. "
                    "Who is in several such groups has the rule with the longest period."
                ),
            },
        ),
        (_("Only for conversations after their last use"), {"fields": ["spares_pinned", "spares_archived"]}),
    ]

    @admin.display(description=_("whom"), ordering="group__name")
    def whom(self, rule: RetentionRule) -> str:
        return rule.whom

    @admin.display(description=_("kept for"), ordering="days")
    def period(self, rule: RetentionRule) -> str:
        if rule.days is None:
            return str(_("ever"))
        return ngettext("%(number)s day", "%(number)s days", rule.days) % {"number": rule.days}


class LiftedFilter(DoneFilter):
    left, done = _("in force"), _("lifted")


@admin.register(LegalHold)
class LegalHoldAdmin(Audited):
    """To add one sets it; it is lifted, and never deleted: who held what is part of the record."""

    list_display = ["reason", "whose", "by", "since", "lifted_at", "lifted_by"]
    list_select_related = ["person", "conversation__owner"]
    list_filter = [("lifted_at", LiftedFilter)]
    search_fields = ["reason", "person__username", "person__email", "by"]
    autocomplete_fields = ["person"]
    raw_id_fields = ["conversation"]
    fields = ["person", "conversation", "reason"]
    actions = ["lift_selected"]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.change_legalhold")

    def get_fields(self, request: HttpRequest, obj: LegalHold | None = None) -> list[Any]:
        if obj is None:
            return list(self.fields or [])
        return ["whose", "reason", "by", "since", "lifted_at", "lifted_by", "keeps"]

    def get_readonly_fields(self, request: HttpRequest, obj: LegalHold | None = None) -> list[Any]:
        return self.get_fields(request, obj) if obj else []

    def save_model(self, request: HttpRequest, obj: LegalHold, form: Any, change: bool) -> None:
        holds.set_hold(obj, cast("User", request.user))

    @admin.display(description=_("whose"), ordering="person__username")
    def whose(self, hold: LegalHold) -> str:
        if hold.person:
            return str(hold.person)
        return str(_("one conversation of %(name)s")) % {"name": hold.conversation.owner if hold.conversation else "–"}

    @admin.display(description=_("what it keeps"))
    def keeps(self, hold: LegalHold) -> SafeString | str:
        """The conversations that are kept, those that their owner deleted, too."""
        rows = holds.held_by(hold).order_by("-updated_at")[:HELD]
        links = [(reverse("admin:held", args=[hold.pk, row.pk]), *_facts(row)) for row in rows]
        return format_html_join(SafeString("<br>"), '<a href="{}">{}</a> {}', links) if links else "–"

    @admin.action(description=_("Lift the selected holds"), permissions=["lift"])
    def lift_selected(self, request: HttpRequest, queryset: QuerySet[LegalHold]) -> None:
        """Let the rules and people erase again what these holds kept."""
        lifted = sum(holds.lift(hold, cast("User", request.user)) for hold in queryset)
        text = ngettext("%d hold was lifted.", "%d holds were lifted.", lifted) % lifted
        self.message_user(request, text, messages.SUCCESS)


def _facts(row: Conversation) -> tuple[str, str]:
    used = date_format(localtime(row.updated_at), "SHORT_DATETIME_FORMAT")
    return used, str(_("(deleted by its owner)")) if row.deleted_at else ""


@page("holds/<int:hold>/<uuid:conversation>/", permission="chat.view_others_conversations")
@require_safe
def held(request: HttpRequest, hold: int, conversation: Any) -> HttpResponse:
    """Show a conversation that is held, also where its owner deleted it; that it was read is written down."""
    user = cast("User", request.user)
    if not user.has_perm("chat.view_legalhold"):
        raise Http404
    found = get_object_or_404(LegalHold.objects.active(), pk=hold)
    shown = get_object_or_404(holds.held_by(found).select_related("owner", "assistant"), pk=conversation)
    newest = history.branch(shown, shown.leaf_id, settings.CHAT_HISTORY_MESSAGES)
    target = Target(kind="conversation", id=str(shown.pk))  # its owner is not told of a hold
    audit.append("hold.read", user, target, hold=found.pk)
    context = {
        **admin.site.each_context(request),
        "title": _("Held conversation"),
        "hold": found,
        "conversation": shown,
        "turns": pages.turns(shown, newest),
        "limit": settings.CHAT_HISTORY_MESSAGES,
    }
    return render(request, "admin/chat/held.html", context)


@page("retention/", permission="chat.view_retentionrule", title=_("Retention"), place=5)
def retention_page(request: HttpRequest) -> HttpResponse:
    """Show what would go now, by which rule, what is held, and what went; or let it go now."""
    user = cast("User", request.user)
    may_purge = user.has_perm("chat.change_retentionrule")
    if request.method == "POST":
        if may_purge:
            _purge_some(request, user)
        return HttpResponseRedirect(reverse("admin:retention_page"))
    context = {
        **admin.site.each_context(request),
        "title": _("Retention"),
        "planned": purging.plan(),
        "listed": purging.listed(),
        "most": purging.LISTED,
        "held": LegalHold.objects.active().count(),
        "runs": PurgeRun.objects.all()[:RUNS],
        "is_daily": settings.CHAT_PURGE_DAILY,
        "may_purge": may_purge,
        "may_see_titles": user.has_perm("chat.view_conversation"),
    }
    return render(request, "admin/chat/retention.html", context)


def _purge_some(request: HttpRequest, user: User) -> None:
    """Purge for some seconds; the page says what is left, and the site's daily round or the next click goes on."""
    try:
        run, is_over = purging.for_seconds(purging.CLICK_SECONDS, user.username)
    except purging.AlreadyPurgingError as error:
        messages.warning(request, str(_("It is being done already, by %(who)s.")) % {"who": error})
        return
    went = sum(run.counts.values())
    text = ngettext("%d thing is gone.", "%d things are gone.", went) % went
    more = "" if is_over else str(_("There is more: click again, or leave it to the daily round."))
    messages.success(request, f"{text} {more}")
