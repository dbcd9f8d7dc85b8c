"""Invitations: made for one address, for many that are pasted, or for whoever has the link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from chat.admin.common import actor_of
from chat.admin.inviting import InviteForm
from chat.admin.lists import Listed
from chat.models import Invitation, InvitationState
from chat.people import invitations, rights
from chat.people.invitations import InvitationGoneError, Made
from chat.people.signup import has_mail


class InvitationStateFilter(admin.SimpleListFilter):
    """Whether an invitation can be accepted, or why not."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(InvitationState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # As Invitation.state_at has them.
        match self.value():
            case "open":
                return queryset.filter(pk__in=Invitation.objects.open().values("pk"))
            case "revoked":
                return queryset.exclude(revoked_at=None)
            case "used":
                return queryset.filter(revoked_at=None, used__gte=F("uses"))
            case "expired":
                return queryset.filter(revoked_at=None, used__lt=F("uses"), expires_at__lte=timezone.now())
        return queryset


@admin.register(Invitation)
class InvitationAdmin(Listed):
    list_display = ["whom", "state", "in_groups", "times", "accepted_by", "expires_at", "mailed_at", "created_by"]
    list_filter = [InvitationStateFilter, "groups", "created_at"]
    list_select_related = ["created_by"]
    list_per_page = 50
    search_fields = ["email", "note", "accepted__username"]
    fields = ["whom", "state", "in_groups", "times", "accepted_by", "note", "created_by", "created_at"]
    readonly_fields = ["whom", "state", "in_groups", "times", "accepted_by", "created_at", "mailed_at", "revoked_at"]
    actions = ["send_again", "make_new_links", "revoke_selected"]

    class Media:
        css = {"all": ["chat/admin-people.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invitation]:
        return super().get_queryset(request).prefetch_related("groups", "accepted")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """An invitation is revoked; who came by it stays known."""
        return False

    def has_revise_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.change_invitation")

    @admin.display(description=_("for"), ordering="email")
    def whom(self, invitation: Invitation) -> Any:
        return invitation.email or _("whoever has the link")

    @admin.display(description=_("state"))
    def state(self, invitation: Invitation) -> SafeString:
        return render_to_string("admin/chat/invitation_state.html", {"invitation": invitation})

    @admin.display(description=_("groups"))
    def in_groups(self, invitation: Invitation) -> str:
        return ", ".join(group.name for group in invitation.groups.all()) or "–"

    @admin.display(description=_("used"), ordering="used")
    def times(self, invitation: Invitation) -> str:
        return f"{invitation.used} / {invitation.uses}"

    @admin.display(description=_("by whom"))
    def accepted_by(self, invitation: Invitation) -> str:
        return ", ".join(use.username for use in invitation.accepted.all()) or "–"

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Ask whom to invite; then show the links, for this once, or that they were sent."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        actor = actor_of(request)
        groups = rights.grantable_groups(actor).order_by("name")
        form = InviteForm(request.POST if request.method == "POST" else None, groups=groups, can_mail=has_mail())
        if request.method == "POST" and form.is_valid():
            made = [invitations.invite(offer, actor) for offer in form.offers()]
            return self._show(request, made, mails=form.cleaned_data["mails"], skipped=form.skipped)
        context = self._context(request, title=_("Invite people"), form=form, lacks_mail=not has_mail())
        return TemplateResponse(request, "admin/chat/invite.html", context, status=422 if form.errors else 200)

    @admin.action(description=_("Send again, with a new link"), permissions=["revise"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> HttpResponse | None:
        if not has_mail():
            self.message_user(request, _("No mail is set up (EMAIL_URL): make new links instead."), messages.ERROR)
            return None
        made = self._renewed(request, queryset.exclude(email=""))
        return self._show(request, made, mails=True) if made else None

    @admin.action(description=_("Make a new link"), permissions=["revise"])
    def make_new_links(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> HttpResponse | None:
        made = self._renewed(request, queryset)
        return self._show(request, made, mails=False) if made else None

    @admin.action(description=_("Revoke"), permissions=["revise"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        done = sum(invitations.revoke(invitation, actor_of(request)) for invitation in queryset)
        text = ngettext("%d invitation was revoked.", "%d invitations were revoked.", done) % done
        self.message_user(request, text, messages.SUCCESS)

    def _renewed(self, request: HttpRequest, chosen: QuerySet[Invitation]) -> list[Made]:
        """Give those a new link that can have one, and into whose groups this administrator may put people."""
        actor = actor_of(request)
        grantable = set(rights.grantable_groups(actor).values_list("pk", flat=True))
        made, left = [], 0
        for invitation in chosen:
            try:
                if not {group.pk for group in invitation.groups.all()} <= grantable:
                    raise InvitationGoneError
                made.append(invitations.renew(invitation, actor))
            except InvitationGoneError:
                left += 1
        if left or not made:
            text = _("Used and revoked invitations, and those into groups with rights that you lack, are left alone.")
            self.message_user(request, text, messages.WARNING)
        return made

    def _show(
        self, request: HttpRequest, made: Sequence[Made], *, mails: bool, skipped: Sequence[tuple[str, Any]] = ()
    ) -> HttpResponse:
        sent: list[Made] = []
        error = ""
        if mails:
            try:
                sent = invitations.send(request, made)
            except OSError as problem:
                error = str(problem)
        mailed = {one.invitation.pk for one in sent}
        links = [(one.invitation, one.url(request)) for one in made if one.invitation.pk not in mailed]
        context = self._context(request, title=_("Invited"), links=links, sent=sent, skipped=skipped, error=error)
        response = TemplateResponse(request, "admin/chat/invited.html", context)
        response["Cache-Control"] = "no-store"  # the links are shown once
        return response

    def _context(self, request: HttpRequest, **more: Any) -> dict[str, Any]:
        back = reverse("admin:chat_invitation_changelist")
        return {**self.admin_site.each_context(request), "opts": self.opts, "back": back, **more}
