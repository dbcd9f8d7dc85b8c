"""Assistants: what people may choose from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from chat.admin import assistant_copying, assistant_versions
from chat.admin.assistant_backends import facts
from chat.admin.assistant_form import AssistantForm, AssistantRow
from chat.admin.assistant_trying import try_it
from chat.admin.common import Audited
from chat.admin.prices import Priced
from chat.models import Assistant, Authorship, User, one_version
from chat.workshop import ordering
from chat.workshop.switching import newest_version

View = Callable[..., HttpResponseBase]


@admin.register(Assistant)
class AssistantAdmin(Priced, Audited):
    form = AssistantForm
    change_form_template = "admin/chat/assistant/form.html"
    change_list_template = "admin/chat/assistant/list.html"
    list_display = ["name", "backend", "model", "description", "is_active"]
    list_display_links = ["name"]
    list_editable = ["is_active"]
    list_filter = ["is_active", "backend", "groups"]
    search_fields = ["name", "slug", "description", "model"]
    prepopulated_fields = {"slug": ["name"]}
    filter_horizontal = ["groups"]
    readonly_fields = ["price_history"]
    fieldsets = [
        (None, {"fields": [("name", "slug"), "description", "avatar", "starters"]}),
        (_("Model"), {"fields": ["backend", "model", "system_prompt"]}),
        (
            _("Parameters"),
            {
                "fields": [("temperature", "top_p"), ("max_output_tokens", "seed"), "stop", "adjustable"],
                "description": _("What is left empty is up to the backend."),
            },
        ),
        (_("Who may use it"), {"fields": ["groups", ("is_active", "order")]}),
        (_("Price"), {"fields": [("input_price", "output_price"), "price_from", "price_history"]}),
    ]

    def get_urls(self) -> list[Any]:
        """Put the pages of an assistant beside the form before those of Django's own."""
        look, change = self._may_look, self.has_change_permission
        own: list[tuple[str, str, View, Any]] = [
            ("order/", "order", require_POST(self.order_view), change),
            ("try/", "try", require_POST(self.try_view), self._may_try),
            ("<int:object_id>/versions/", "versions", assistant_versions.versions, look),
            ("<int:object_id>/versions/<int:number>/", "version", assistant_versions.version, look),
            ("<int:object_id>/versions/<int:number>/revert/", "revert", assistant_versions.revert_to, change),
        ]
        return [
            *(
                path(route, self.admin_site.admin_view(_for(allowed, view)), name=f"chat_assistant_{name}")
                for route, name, view, allowed in own
            ),
            *super().get_urls(),
        ]

    def _may_look(self, request: HttpRequest) -> bool:
        return self.has_view_or_change_permission(request)

    def _may_try(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request) or self.has_add_permission(request)

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[forms.ModelForm[Assistant]]:
        return super().get_changelist_form(request, **{"form": AssistantRow, **kwargs})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return assistant_copying.initial(request)

    def get_list_display(self, request: HttpRequest) -> Any:
        """Offer to move assistants where the list is whole and in their order."""
        shown = super().get_list_display(request)
        is_whole = set(request.GET) <= {"p"} and self.has_change_permission(request)
        return ["place", *shown] if is_whole else shown

    @admin.display(description=_("order"))
    def place(self, assistant: Assistant) -> SafeString:
        """Buttons to move it; a script adds that it can be dragged."""
        up, down = gettext("Move %s up") % assistant.name, gettext("Move %s down") % assistant.name
        return format_html(
            '<span class="place" data-place="{0}" data-name="{4}">'
            '<button type="submit" name="move" value="{0}:up" formaction="{1}" aria-label="{2}">↑</button>'
            '<button type="submit" name="move" value="{0}:down" formaction="{1}" aria-label="{3}">↓</button></span>',
            *(assistant.pk, reverse("admin:chat_assistant_order"), up, down, assistant.name),
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if request.method != "POST":
            return super().changelist_view(request, extra_context)
        with one_version(Authorship(by=cast("User", request.user))):
            return super().changelist_view(request, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Save all that the form says as one version, under the name of who sent it."""
        if request.method == "POST":
            with one_version(Authorship(by=cast("User", request.user))):
                return super().changeform_view(request, object_id, form_url, extra_context)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Add what the settings decide, and what the panel to try it out needs."""
        obj: Assistant | None = kwargs.get("obj")
        context |= {
            "backend_facts": facts(),
            "can_try": self._may_try(request) and not context.get("is_popup"),
            "can_rehearse": request.user.has_perm("chat.add_rehearsal"),
            "newest_version": newest_version(obj.pk) if obj else None,
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def draft_form(self, request: HttpRequest) -> tuple[Any, Assistant | None]:
        """Return the form as it was sent, and the assistant that it is of, if it is of one already.

        Raises:
            Http404: there is no such assistant.
            PermissionDenied: this person may not save such a form.
        """
        pk = request.POST.get("assistant", "")
        obj = get_object_or_404(Assistant, pk=int(pk)) if pk.isdecimal() else None
        allowed = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        if not allowed:
            raise PermissionDenied
        form = self.get_form(request, obj, change=obj is not None)
        return form(request.POST, instance=Assistant.objects.get(pk=obj.pk) if obj else None), obj

    def try_view(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a question with what is in the form now."""
        form, obj = self.draft_form(request)
        return try_it(request, form, obj)

    def order_view(self, request: HttpRequest) -> HttpResponse:
        """Move one assistant (``move``: id and direction), or put all into another order (``order``: ids)."""
        user = cast("User", request.user)
        pk, _colon, direction = request.POST.get("move", "").partition(":")
        wanted = request.POST.get("order", "").split(",")
        if pk.isdecimal() and direction in {"up", "down"}:
            ordering.move(int(pk), "up" if direction == "up" else "down", user)
        elif all(one.isdecimal() for one in wanted):
            ordering.arrange([int(one) for one in wanted], user)
        else:
            return HttpResponse(gettext("This is no order of assistants."), status=400, content_type="text/plain")
        if "application/json" in request.headers.get("Accept", ""):
            order = Assistant.objects.order_by("order", "name").values_list("pk", flat=True)
            return JsonResponse({"order": list(order)})
        return HttpResponseRedirect(reverse("admin:chat_assistant_changelist"))


def _for(allowed: Callable[[HttpRequest], bool], view: View) -> View:
    """Return the view, for those who may."""

    def checked(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        if not allowed(request):
            raise PermissionDenied
        return view(request, **arguments)

    return checked
