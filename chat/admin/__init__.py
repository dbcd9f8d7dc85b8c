"""The administrator's view: assistants to edit, conversations and answers to look at, people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from backends import chat_backends
from chat import audit, history, pages
from chat.admin import administration  # noqa: F401 - registers its models
from chat.admin.audited import Audited
from chat.audit import Target
from chat.deleting import erase_conversation
from chat.generation import cancel_generation
from chat.models import Assistant, Conversation, Feedback, Generation, Reason, Share, User
from chat.parameters import PARAMETERS
from chat.runner import runner
from chat.sharing import revoke

admin.site.site_header = admin.site.site_title = settings.SITE_NAME
admin.site.index_title = _("Administration")


def _delete(conversations: Iterable[Conversation]) -> None:
    """Erase them: what is being written there stops, and open pages are told. Nobody can restore them."""
    for conversation in conversations:
        for answer in erase_conversation(conversation):
            runner.cancel(answer)


class WithAnswersAdmin(Audited):
    """For rows with which answers go, and feedback, that nobody may delete by themselves."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        names, counts, missing, protected = super().get_deleted_objects(objs, request)
        going = {str(model._meta.verbose_name) for model in (Generation, Feedback, Share)}
        return names, counts, missing - going, protected


@admin.register(User)
class PersonAdmin(WithAnswersAdmin, UserAdmin):  # type: ignore[type-arg]
    readonly_fields = ["last_login", "date_joined"]  # the site writes them

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        _delete(obj.conversations.all())
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        _delete(Conversation.objects.filter(owner__in=queryset))
        super().delete_queryset(request, queryset)


admin.site.unregister(Group)


@admin.register(Group)
class AuditedGroupAdmin(Audited, GroupAdmin):
    pass


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea(attrs={"rows": 4}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (value or "").splitlines() if line.strip()]


class AssistantForm(forms.ModelForm):  # type: ignore[type-arg]
    """An assistant, with the backends of the settings to choose from."""

    backend = forms.ChoiceField(label=_("Backend"), help_text=_("Named in settings.CHAT_BACKENDS."))
    starters = LinesField(label=_("Starters"), help_text=_("Questions that an empty page suggests, one a line."))
    stop = LinesField(label=_("Stop"), help_text=_("Texts that end an answer, one a line."))

    adjustable = forms.MultipleChoiceField(
        label=_("People may change"),
        choices=[(name, parameter.label) for name, parameter in PARAMETERS.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_(
            "Offered beside the message field. The max output tokens above are then the most that people can choose."
        ),
    )

    class Meta:
        model = Assistant
        fields = ["backend", "starters", "stop", "adjustable"]  # the admin adds the others

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(alias, f"{chat_backends.label(alias)} ({alias})") for alias in chat_backends]
        if self.instance.backend and self.instance.backend not in chat_backends:
            # Shown, so that saving anything else does not silently choose another one; clean() refuses it.
            choices.insert(0, (self.instance.backend, _("%s (not in the settings)") % self.instance.backend))
        field = self.fields["backend"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


class AssistantRow(forms.ModelForm):  # type: ignore[type-arg]
    """A row of the list, whose fields say by name what they are and whose."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = f"{self.instance.name}: {field.label}"


class ValuesFilter(admin.AllValuesFieldListFilter):
    """The values of a column, with a name for the empty one: a link must have one."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield choice if str(choice["display"]) else {**choice, "display": _("None")}


@admin.register(Assistant)
class AssistantAdmin(Audited):
    form = AssistantForm
    list_display = ["name", "backend", "model", "description", "order", "is_active"]
    list_editable = ["order", "is_active"]
    list_filter = ["is_active", "backend", "groups"]
    search_fields = ["name", "slug", "description", "model"]
    prepopulated_fields = {"slug": ["name"]}
    filter_horizontal = ["groups"]
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
        (_("Price"), {"fields": [("input_price", "output_price")]}),
    ]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[forms.ModelForm[Assistant]]:
        return super().get_changelist_form(request, **{"form": AssistantRow, **kwargs})


class ReadOnlyAdmin(Audited):
    """For rows that the site writes: to be looked at and, where it makes sense, deleted."""

    show_full_result_count = False  # a count of millions for one number

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Conversation)
class ConversationAdmin(WithAnswersAdmin, ReadOnlyAdmin):
    list_display = ["title", "owner", "assistant", "created_at", "updated_at", "is_archived"]
    list_select_related = ["owner", "assistant"]
    list_filter = ["assistant", "is_archived", "created_at"]
    search_fields = ["title", "owner__username", "owner__email"]
    date_hierarchy = "created_at"
    fields = ["title", "owner", "assistant", "created_at", "updated_at", "transcript"]
    readonly_fields = ["transcript"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        """Leave out what its owner deleted."""
        return super().get_queryset(request).filter(deleted_at=None)

    def delete_model(self, request: HttpRequest, obj: Conversation) -> None:
        _delete([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Conversation]) -> None:
        _delete(queryset)

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


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    list_display = [
        "conversation",
        "owner",
        "assistant_name",
        "state",
        "output_tokens",
        "first_delta_ms",
        "duration",
        "cost",
        "queued_at",
    ]
    list_display_links = ["queued_at"]  # the first column has a link of its own
    list_select_related = ["message__conversation__owner"]
    list_filter = [
        "status",
        ("finish_reason", ValuesFilter),
        ("error_code", ValuesFilter),
        "backend",
        "assistant",
        "is_copy",
        "is_imported",
        "queued_at",
    ]
    search_fields = ["message__conversation__title", "message__conversation__owner__username", "model", "worker"]
    exclude = ["message"]
    readonly_fields = ["conversation", "owner", "state", "first_delta_ms", "duration"]
    actions = ["cancel_selected"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Generation]:
        """Leave out the answers in conversations that their owner deleted."""
        return super().get_queryset(request).filter(message__conversation__deleted_at=None)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Answers go with their conversation only."""
        return False

    @admin.display(description=_("conversation"), ordering="message__conversation__title")
    def conversation(self, generation: Generation) -> SafeString:
        conversation = generation.message.conversation
        url = reverse("admin:chat_conversation_change", args=[conversation.pk])
        return format_html('<a href="{}">{}</a>', url, conversation.title)

    @admin.display(description=_("person"), ordering="message__conversation__owner__username")
    def owner(self, generation: Generation) -> str:
        return str(generation.message.conversation.owner)

    @admin.display(description=_("state"), ordering="status")
    def state(self, generation: Generation) -> SafeString:
        why = generation.error_code or generation.finish_reason
        text = (
            f"{generation.get_status_display()} ({why})" if why not in {"", "stop"} else generation.get_status_display()
        )
        return format_html('<span class="pill pill-{}">{}</span>', generation.status, text)

    @admin.display(description=_("first delta, ms"))
    def first_delta_ms(self, generation: Generation) -> str:
        if generation.first_delta_at is None:
            return "–"
        return f"{(generation.first_delta_at - generation.queued_at).total_seconds() * 1000:,.0f}"

    @admin.display(description=_("seconds"))
    def duration(self, generation: Generation) -> str:
        return "–" if generation.seconds is None else f"{generation.seconds:.1f}"

    @admin.action(description=_("Cancel the selected answers"), permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Generation]) -> None:
        """End the selected answers that are still being written; their text so far is kept."""
        cancelled = [generation for generation in queryset.unfinished() if cancel_generation(generation)]  # type: ignore[attr-defined]
        for generation in cancelled:
            runner.cancel(generation.pk)
            owner = generation.message.conversation.owner_id
            target = Target(kind="generation", id=str(generation.pk), owner_id=owner)
            audit.append("generation.cancelled", cast("User", request.user), target)
        text = ngettext("%d answer was cancelled.", "%d answers were cancelled.", len(cancelled)) % len(cancelled)
        self.message_user(request, text, messages.SUCCESS)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.change_generation")


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    list_display = ["rating", "comment", "reason_names", "assistant", "person", "conversation", "updated_at"]
    list_select_related = ["person", "message__conversation", "message__generation"]
    list_filter = ["value", "message__generation__assistant", "updated_at"]
    search_fields = ["comment", "person__username", "message__conversation__title"]
    date_hierarchy = "updated_at"
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
