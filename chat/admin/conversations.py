"""What people talked about with assistants: to be read by those who may, after they said why."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from chat import history, pages
from chat.admin.common import ReadOnlyAdmin, WithAnswersAdmin
from chat.admin_site import page
from chat.models import Conversation, User
from chat.people import reading
from chat.retention.deleting import erase_conversation
from chat.runner import runner
from chat.workshop.choosing import MOST_CONVERSATIONS


class ReasonForm(forms.Form):
    """Why somebody wants to read what another person wrote."""

    reason = forms.CharField(
        label=_("Why do you have to read it?"),
        min_length=8,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("The person can read this, and your name. For instance: “You asked us to look at this error.”"),
    )
    ticket = forms.CharField(
        label=_("Ticket"), max_length=100, required=False, help_text=_("Its number, if there is one.")
    )


def erase(conversations: Iterable[Conversation]) -> None:
    """Erase them: what is being written there stops, and open pages are told. Nobody can restore them."""
    for conversation in conversations:
        for answer in erase_conversation(conversation):
            runner.cancel(answer)


class UntitledList(ChangeList):
    """A page of the list, of which the admin's own templates say nothing but what the rows are called here."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        for row in self.result_list:
            row.title = reading.name_of(row.pk)


@admin.register(Conversation)
class ConversationAdmin(WithAnswersAdmin, ReadOnlyAdmin):
    """Without titles: they are made of what people wrote. Who may read that says why on the conversation's page."""

    list_display = ["name", "owner", "assistant", "created_at", "updated_at", "is_archived"]
    list_select_related = ["owner", "assistant"]
    list_filter = ["assistant", "is_archived", "created_at"]
    search_fields = ["owner__username", "owner__email"]
    fields = ["name", "title", "owner", "assistant", "created_at", "updated_at", "transcript"]
    readonly_fields = ["name", "transcript"]
    actions = ["rehearse_selected"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        """Leave out what its owner deleted."""
        return super().get_queryset(request).filter(deleted_at=None)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UntitledList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse to filter by titles: whether something is found would say what is in them."""
        return not lookup.startswith("title") and super().lookup_allowed(lookup, value, request)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Conversation | None:
        """Return it with its title for those alone to whom it is open."""
        found: Conversation | None = super().get_object(request, object_id, from_field)
        if found and not reading.is_open(found, cast("User", request.user)):
            found.title = reading.name_of(found.pk)
        return found

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        _names, counts, missing, protected = super().get_deleted_objects(objs, request)
        return [reading.name_of(one.pk) for one in objs], counts, missing, protected

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        masked = list(queryset)
        for one in masked:
            one.title = reading.name_of(one.pk)
        return super().log_deletions(request, cast("QuerySet[Any]", masked))

    def delete_model(self, request: HttpRequest, obj: Conversation) -> None:
        erase([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Conversation]) -> None:
        erase(queryset)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show it; who may read it and has not said why is asked first."""
        user = cast("User", request.user)
        found = self.get_object(request, unquote(object_id))
        is_seen = found is not None and self.has_view_permission(request, found)
        asks = request.method in {"GET", "HEAD"} and is_seen and reading.may_read(user)
        if found and asks and not reading.is_open(found, user) and "facts" not in request.GET:
            return redirect("admin:open_conversation", found.pk)
        return super().change_view(request, object_id, *args, **kwargs)

    @admin.action(description=_("Rehearse a change of an assistant with them"), permissions=["rehearse"])
    def rehearse_selected(self, request: HttpRequest, queryset: QuerySet[Conversation]) -> HttpResponse:
        """Go on to a new rehearsal with the questions of the selected conversations."""
        chosen = ",".join(map(str, queryset.values_list("pk", flat=True)[:MOST_CONVERSATIONS]))
        return HttpResponseRedirect(f"{reverse('admin:chat_rehearsal_add')}?conversations={chosen}")

    def has_rehearse_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.add_rehearsal")

    def get_fields(self, request: HttpRequest, obj: Conversation | None = None) -> list[Any]:
        """Return title and transcript only for those to whom it is open."""
        is_open = obj is not None and reading.is_open(obj, cast("User", request.user))
        hidden = {"name"} if is_open else {"title", "transcript"}
        return [field for field in self.fields or [] if field not in hidden]

    @admin.display(description=_("conversation"))
    def name(self, conversation: Conversation) -> str:
        return reading.name_of(conversation.pk)

    @admin.display(description=_("Messages"))
    def transcript(self, conversation: Conversation) -> SafeString:
        """The newest messages of the shown branch."""
        newest = history.branch(conversation, conversation.leaf_id, settings.CHAT_HISTORY_MESSAGES)
        context = {"turns": pages.turns(conversation, newest), "limit": settings.CHAT_HISTORY_MESSAGES}
        return render_to_string("admin/chat/transcript.html", context)


@page("chat/conversation/<uuid:pk>/open/", permission=reading.PERMISSION)
def open_conversation(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Ask why; the conversation is open to this administrator for half an hour then, and its owner can see it."""
    user = cast("User", request.user)
    if not user.has_perm("chat.view_conversation"):
        raise PermissionDenied
    found = get_object_or_404(Conversation.objects.kept().select_related("owner"), pk=pk)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        reading.open_transcript(found, user, **form.cleaned_data)
        return redirect("admin:chat_conversation_change", found.pk)
    name = reading.name_of(found.pk)
    context = {
        **admin.site.each_context(request),
        "title": name,
        "form": form,
        "owner": found.owner,
        "minutes": round(reading.OPEN_FOR.total_seconds() / 60),
        "back": reverse("admin:chat_conversation_changelist"),
        "facts": reverse("admin:chat_conversation_change", args=[found.pk]) + "?facts",
    }
    status = 422 if form.errors else 200
    return TemplateResponse(request, "admin/chat/reason.html", context, status=status)


def link_to(conversation: Any) -> SafeString:
    """Return a link to the page of a conversation that does not say what it is about."""
    url = reverse("admin:chat_conversation_change", args=[conversation])
    return format_html('<a href="{}">{}</a>', url, reading.name_of(conversation))
