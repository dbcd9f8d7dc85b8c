"""What people think of answers: to be counted, read, marked as reviewed, taken along."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.handlers.asgi import ASGIRequest
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from chat import history, pages, reviewing
from chat.admin.common import ReadOnlyAdmin, ValuesFilter, actor_of
from chat.admin.conversations import link_to
from chat.admin_site import page
from chat.models import Feedback, Reason
from chat.people import reading
from chat.reviewing import Wanted
from chat.transfer.archive import in_threads

_EXCHANGE = 2
"""Messages: the answer, and what it answers."""

_SHOWN: list[Any] = [
    "rating",
    "reason_names",
    "comment",
    "assistant",
    "model_name",
    "person",
    "updated_at",
    "conversation",
]


class ReasonFilter(admin.SimpleListFilter):
    """Why an answer was good or bad."""

    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Reason.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in Reason.values:
            # As text: SQLite cannot ask what is in a list. No reason is part of another one's quoted name.
            return queryset.filter(reasons__icontains=f'"{self.value()}"')
        return queryset


class ReviewedFilter(admin.SimpleListFilter):
    """Whether an administrator dealt with it."""

    title = _("reviewed")
    parameter_name = "reviewed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("not yet")), ("yes", _("reviewed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        is_known = self.value() in {"no", "yes"}
        return queryset.filter(reviewed_at__isnull=self.value() == "no") if is_known else queryset


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    change_list_template = "admin/chat/feedback_list.html"
    list_display = ["rating", "comment", "reason_names", "assistant", "model_name", "person", "review", "updated_at"]
    list_select_related = ["person", "message__conversation", "message__generation"]
    list_filter = [
        "value",
        ReasonFilter,
        ReviewedFilter,
        "message__generation__assistant",
        ("message__generation__model", ValuesFilter),
        "shares_exchange",
        "updated_at",
    ]
    list_per_page = 50
    search_fields = ["comment", "person__username"]
    fields = _SHOWN
    readonly_fields = [*_SHOWN, "exchange", "review"]
    actions = ["mark_reviewed"]

    class Media:
        css = {"all": ["chat/admin-people.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Feedback]:
        """Leave out what is in conversations that their owner deleted."""
        return cast("QuerySet[Feedback]", super().get_queryset(request)) & reviewing.reviewable()

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only the note of the review is changed."""
        return request.user.has_perm("chat.change_feedback")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Feedback goes with its answer, and is taken back by who gave it."""
        return False

    def get_fields(self, request: HttpRequest, obj: Feedback | None = None) -> list[Any]:
        is_open = obj is not None and reviewing.may_read_exchange(obj, actor_of(request))
        note = ["review", "review_note"] if self.has_change_permission(request, obj) else ["review"]
        return [*_SHOWN, *(["exchange"] if is_open else []), *note]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, and above it how the assistants did among what is chosen by the filters."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data and "cl" in response.context_data:
            chosen = response.context_data["cl"].queryset
            response.context_data["totals"] = reviewing.totals(Feedback.objects.filter(pk__in=chosen.values("pk")))
        return response

    def save_model(self, request: HttpRequest, obj: Feedback, form: Any, change: bool) -> None:
        reviewing.review(obj, actor_of(request), obj.review_note)

    @admin.display(description=_("rating"), ordering="value")
    def rating(self, feedback: Feedback) -> SafeString:
        return render_to_string("admin/chat/feedback_rating.html", {"feedback": feedback})

    @admin.display(description=_("reasons"))
    def reason_names(self, feedback: Feedback) -> str:
        return ", ".join(str(Reason(reason).label) for reason in feedback.reasons if reason in Reason.values) or "–"

    @admin.display(description=_("assistant"), ordering="message__generation__assistant_name")
    def assistant(self, feedback: Feedback) -> str:
        return feedback.message.generation.assistant_name

    @admin.display(description=_("model"), ordering="message__generation__model")
    def model_name(self, feedback: Feedback) -> str:
        return feedback.message.generation.model or "–"

    @admin.display(description=_("review"), ordering="reviewed_at")
    def review(self, feedback: Feedback) -> SafeString:
        return render_to_string("admin/chat/feedback_review.html", {"feedback": feedback})

    @admin.display(description=_("conversation"))
    def conversation(self, feedback: Feedback) -> SafeString:
        return link_to(feedback.message.conversation_id)

    @admin.display(description=_("Question and answer"))
    def exchange(self, feedback: Feedback) -> SafeString:
        conversation = feedback.message.conversation
        said = history.branch(conversation, feedback.message_id, _EXCHANGE)
        context = {"turns": pages.turns(conversation, said), "limit": _EXCHANGE + 1}
        return render_to_string("admin/chat/transcript.html", context)

    @admin.action(description=_("Mark as reviewed"), permissions=["change"])
    def mark_reviewed(self, request: HttpRequest, queryset: QuerySet[Feedback]) -> None:
        chosen = list(queryset)
        for feedback in chosen:
            reviewing.review(feedback, actor_of(request))
        text = ngettext("%d was marked as reviewed.", "%d were marked as reviewed.", len(chosen)) % len(chosen)
        self.message_user(request, text, messages.SUCCESS)


class ExportForm(forms.Form):
    """What is taken along."""

    with_names = forms.BooleanField(label=_("With the usernames of those who gave the feedback"), required=False)
    everything = forms.BooleanField(
        label=_("With the conversations of those, too, who did not let them be read"),
        required=False,
        help_text=_("They see that you exported them, and the reason."),
    )
    reason = forms.CharField(
        label=_("Why do you need them?"),
        required=False,
        min_length=8,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args: Any, may_read: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_read:
            del self.fields["everything"], self.fields["reason"]

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("everything") and not self.cleaned_data.get("reason"):
            self.add_error("reason", _("Say why."))
        return self.cleaned_data

    def wanted(self) -> Wanted:
        data = self.cleaned_data
        return Wanted(with_names=data["with_names"], reason=data["reason"] if data.get("everything") else "")


@page("chat/feedback/export/", permission="chat.view_feedback")
def export_feedback(request: HttpRequest) -> HttpResponseBase:
    """Ask what is to be exported of the feedback that the filters in the address choose, or send it."""
    form = ExportForm(request.POST if request.method == "POST" else None, may_read=reading.may_read(actor_of(request)))
    chosen = admin.site.get_model_admin(Feedback).get_changelist_instance(request).queryset
    if request.method == "POST" and form.is_valid():
        lines = reviewing.start_export(chosen, actor_of(request), form.wanted())
        is_async = isinstance(request, ASGIRequest)
        response = StreamingHttpResponse(
            in_threads(lines) if is_async else lines, content_type="application/x-ndjson; charset=utf-8"
        )
        response["Content-Disposition"] = f'attachment; filename="feedback-{timezone.localdate()}.jsonl"'
        return response
    context = {
        **admin.site.each_context(request),
        "title": _("Export feedback"),
        "form": form,
        "rows": chosen.count(),
        "back": reverse("admin:chat_feedback_changelist"),
    }
    return TemplateResponse(request, "admin/chat/feedback_export.html", context, status=422 if form.errors else 200)
