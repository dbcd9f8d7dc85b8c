"""Rehearsals: many questions asked of changed settings, beside the answers that there are."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from chat.admin import rehearsal_pages as pages
from chat.admin.assistant_trying import draft_of
from chat.admin.assistants import AssistantAdmin
from chat.admin.common import Audited
from chat.admin.rehearsal_forms import QuestionsForm, SettingsForm, conversation_ids
from chat.admin.rehearsal_words import state_of
from chat.models import Assistant, Rehearsal, Status, User
from chat.runner import runner
from chat.workshop.choosing import start
from chat.workshop.settings import deciding
from chat.workshop.switching import newest_version


@admin.register(Rehearsal)
class RehearsalAdmin(Audited):
    list_display = ["title", "assistant_name", "candidate_name", "owner", "created_at", "state"]
    list_select_related = ["owner"]
    list_filter = ["assistant", "created_at"]
    search_fields = ["title", "assistant_name", "candidate_name", "owner__username"]

    def get_urls(self) -> list[Any]:
        """Put the pages of a rehearsal beside those of Django's own, which would take their names for an id."""
        own = [
            ("prepare/", "prepare", require_POST(self.prepare_view), "add"),
            ("<int:object_id>/progress/", "progress", require_safe(self._of(pages.progress)), "view"),
            ("<int:object_id>/export/", "export", require_safe(self._of(pages.export)), "view"),
            ("<int:object_id>/vote/", "vote", require_POST(self._of(pages.vote)), "change"),
            ("<int:object_id>/open/", "open", require_POST(self._of(pages.open_all)), "view"),
            ("<int:object_id>/cancel/", "cancel", require_POST(self._of(pages.cancel)), "change"),
            ("<int:object_id>/again/", "again", require_POST(self._of(pages.again)), "change"),
            ("<int:object_id>/switch/", "switch", self._of(pages.switch), "change"),
        ]
        wrap = self.admin_site.admin_view
        return [
            *(
                path(route, wrap(self._allowed(view, right)), name=f"chat_rehearsal_{name}")
                for route, name, view, right in own
            ),
            *super().get_urls(),
        ]

    def _allowed(self, view: Any, right: str) -> Any:
        def checked(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
            if not getattr(self, f"has_{right}_permission")(request):
                raise PermissionDenied
            return cast("HttpResponseBase", view(request, **arguments))

        return checked

    def _of(self, view: Any) -> Any:
        def found(request: HttpRequest, object_id: int) -> HttpResponseBase:
            return cast("HttpResponseBase", view(request, get_object_or_404(Rehearsal, pk=object_id)))

        return found

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rehearsal]:
        """Count what is still to come, for the list."""
        running = Q(questions__answers__status__in=(Status.QUEUED, Status.IN_PROGRESS))
        found: QuerySet[Rehearsal] = super().get_queryset(request)
        to_come = Count("questions__answers", filter=running)
        return found.annotate(asked=Count("questions", distinct=True), to_come=to_come)

    @admin.display(description=_("state"))
    def state(self, rehearsal: Any) -> SafeString:
        return state_of(rehearsal)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the rehearsals alone: their questions and answers go with them."""
        names = [str(one) for one in objs]
        return names, {str(Rehearsal._meta.verbose_name_plural): len(names)}, set(), []

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Choose an assistant, the settings of another one to try, and the questions."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        user = cast("User", request.user)
        selected = request.POST.get("conversations") or request.GET.get("conversations", "")
        data = (request.POST, request.FILES) if request.method == "POST" else ()
        what = SettingsForm(*data, initial={"assistant": request.GET.get("assistant")})
        questions = QuestionsForm(*data, person=user, chosen=conversation_ids(selected))
        if request.method == "POST" and all([what.is_valid(), questions.is_valid()]):
            assistant, candidate = what.cleaned_data["assistant"], what.cleaned_data["candidate"]
            # What is selected is wanted, whichever assistant answered there.
            if questions.find(assistant.pk):
                with transaction.atomic():
                    made = make(user, assistant, deciding(candidate), str(candidate))
                    start(made, questions.questions, questions.cleaned_data.get("reason", ""))
                runner.wake()
                return HttpResponseRedirect(reverse("admin:chat_rehearsal_change", args=[made.pk]))
        context = {"title": gettext("New rehearsal"), "what": what, "questions": questions, "selected": selected}
        return render(request, "admin/chat/rehearsal/new.html", pages.context_of(request, None, **context))

    def prepare_view(self, request: HttpRequest) -> HttpResponse:
        """Make a rehearsal of what is in the form of an assistant now, and ask for the questions."""
        owner = self.admin_site._registry[Assistant]
        assert isinstance(owner, AssistantAdmin)
        form, obj = owner.draft_form(request)
        assistant, errors = draft_of(form, obj)
        if assistant is None:
            for name, found in errors.items():
                messages.error(request, f"{form.fields[name].label}: {' '.join(found)}")
            page = reverse("admin:chat_assistant_change", args=[obj.pk]) if obj else reverse("admin:chat_assistant_add")
            messages.warning(request, gettext("Nothing was rehearsed, and what you changed is not stored."))
            return HttpResponseRedirect(page)
        made = make(cast("User", request.user), obj, deciding(assistant), gettext("the edited form of %s") % assistant)
        return HttpResponseRedirect(reverse("admin:chat_rehearsal_change", args=[made.pk]))

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show both sides; of one without questions, ask for these."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        rehearsal = get_object_or_404(Rehearsal, pk=int(object_id) if object_id.isdecimal() else 0)
        if rehearsal.questions.exists():
            return pages.compare(request, rehearsal)
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self._ask_for_questions(request, rehearsal)

    def _ask_for_questions(self, request: HttpRequest, rehearsal: Rehearsal) -> HttpResponse:
        data = (request.POST, request.FILES) if request.method == "POST" else ()
        questions = QuestionsForm(*data, person=cast("User", request.user))
        if request.method == "POST" and questions.is_valid() and questions.find(rehearsal.assistant_id):
            # Whoever chooses the questions is who reads them, and whose use it is.
            Rehearsal.objects.filter(pk=rehearsal.pk).update(owner=cast("User", request.user))
            rehearsal.refresh_from_db()
            start(rehearsal, questions.questions, questions.cleaned_data.get("reason", ""))
            runner.wake()
            return HttpResponseRedirect(reverse("admin:chat_rehearsal_change", args=[rehearsal.pk]))
        context = pages.context_of(request, rehearsal, title=rehearsal.title, questions=questions)
        return render(request, "admin/chat/rehearsal/new.html", context | pages.candidate_context(rehearsal))


def make(owner: User, assistant: Assistant | None, candidate: dict[str, Any], name: str) -> Rehearsal:
    """Store a rehearsal of these settings, without questions yet."""
    newest = newest_version(assistant.pk) if assistant else None
    title = f"{assistant} → {name}" if assistant else name
    return Rehearsal.objects.create(
        owner=owner,
        title=title[:120],
        assistant=assistant,
        assistant_name=assistant.name if assistant else "",
        base_version=newest.number if newest else None,
        candidate=candidate,
        candidate_name=name[:120],
    )
