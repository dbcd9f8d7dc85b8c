"""People: who is here, what they may do, and letting them in, out and elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from chat.admin.common import WithAnswersAdmin, actor_of
from chat.admin.conversations import erase
from chat.admin.people_lists import LastSeenFilter, StateFilter, money, with_activity
from chat.models import Conversation, User
from chat.people import managing as people
from chat.people import rights
from chat.people.facts import access_of, meters_of
from chat.people.managing import LastAdministratorError
from chat.people.signup import has_mail
from chat.runner import runner

_LAST = _("There would be nobody left who can administrate the site.")


class PersonForm(UserChangeForm):  # type: ignore[type-arg]
    """A person, who does not become the first to be missed: there must be an administrator."""

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        stays = all(data.get(name, getattr(self.instance, name)) for name in ("is_active", "is_staff", "is_superuser"))
        if not stays and self.instance.pk and people.is_last_administrator(User.objects.get(pk=self.instance.pk)):
            raise forms.ValidationError(_LAST)
        return data


class WithGroup(ActionForm):
    """The menu of actions, with the group that two of them are about."""

    group = forms.ModelChoiceField(Group.objects.all(), required=False, label=_("Group"))


@admin.register(User)
class PersonAdmin(WithAnswersAdmin, UserAdmin):  # type: ignore[type-arg]
    form = PersonForm
    action_form = WithGroup
    list_display = ["person", "state", "in_groups", "last_seen", "conversation_count", "lately"]
    list_filter = [StateFilter, LastSeenFilter, "groups"]
    list_per_page = 50
    show_full_result_count = False
    readonly_fields = ["last_login", "date_joined", "activity", "assistants", "quotas"]
    actions = ["deactivate", "reactivate", "end_sessions", "add_to_group", "take_out_of_group", "send_password_link"]

    class Media:
        css = {"all": ["chat/admin-people.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return with_activity(super().get_queryset(request))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("People"), **(extra_context or {})})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        return [*fieldsets, (_("What they use"), {"fields": ["activity", "assistants", "quotas"]})]

    # What nobody may do to whom.

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or rights.is_above(actor_of(request), cast("User", obj)))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        if not allowed or not isinstance(obj, User):
            return allowed
        return rights.is_above(actor_of(request), obj) and not people.is_last_administrator(obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if actor_of(request).is_superuser else [*fixed, "is_superuser"]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer only what this administrator may give."""
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        if field is not None and db_field.name == "groups":
            field.queryset = rights.grantable_groups(actor_of(request))
        elif field is not None and db_field.name == "user_permissions":
            field.queryset = rights.grantable_permissions(actor_of(request))
        return field

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the people, not the titles of all that goes with them; and keep an administrator."""
        _names, counts, missing, protected = super().get_deleted_objects(objs, request)
        gone = {person.pk for person in objs}
        left = set(people.administrators().values_list("pk", flat=True))
        if left and left <= gone:
            protected = [*protected, str(_LAST)]
        return [str(person) for person in objs], counts, missing, protected

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        self.delete_queryset(request, User.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        gone = list(queryset.values_list("pk", flat=True))
        with transaction.atomic():
            self._keep_an_administrator(gone)
            erase(Conversation.objects.filter(owner__in=gone))
            User.objects.filter(pk__in=gone).delete()

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Store the person; who is no longer active is shut out at once."""
        with transaction.atomic():
            if change and not (obj.is_active and obj.is_staff and obj.is_superuser):
                self._keep_an_administrator([obj.pk])
            super().save_model(request, obj, form, change)
            if change and "is_active" in form.changed_data and not obj.is_active:
                User.objects.filter(pk=obj.pk).update(sessions_ended=F("sessions_ended") + 1)
                _stop(people.shut_out(obj))

    def _keep_an_administrator(self, without: list[int]) -> None:
        try:
            people.keep_an_administrator(without=without)
        except LastAdministratorError as error:  # another administrator was quicker than this one's form
            raise PermissionDenied(str(_LAST)) from error

    # The list.

    @admin.display(description=_("person"), ordering="username")
    def person(self, person: User) -> SafeString:
        about = ", ".join(filter(None, [person.get_full_name(), person.email]))
        return format_html('<b>{}</b><small class="about">{}</small>', person.username, about)

    @admin.display(description=_("state"), ordering="is_active")
    def state(self, person: User) -> SafeString:
        return render_to_string("admin/chat/person_state.html", {"person": person})

    @admin.display(description=_("groups"))
    def in_groups(self, person: User) -> str:
        return ", ".join(group.name for group in person.groups.all()) or "–"

    @admin.display(description=_("last seen"), ordering="seen_at")
    def last_seen(self, person: Any) -> Any:
        return date_format(localtime(person.seen_at), "SHORT_DATETIME_FORMAT") if person.seen_at else _("never")

    @admin.display(description=_("conversations"), ordering="conversation_count")
    def conversation_count(self, person: Any) -> int:
        return int(person.conversation_count)

    @admin.display(description=_("tokens, 30 days"), ordering="tokens_lately")
    def lately(self, person: Any) -> SafeString:
        cost = money(person.cost_lately) if person.cost_lately else ""
        return format_html('{}<small class="about">{}</small>', number_format(person.tokens_lately), cost)

    # One person.

    @admin.display(description=_("Activity"))
    def activity(self, person: Any) -> SafeString:
        context = {"person": person, "cost": money(person.cost_lately)}
        return render_to_string("admin/chat/person_activity.html", context)

    @admin.display(description=_("Assistants"))
    def assistants(self, person: User) -> SafeString:
        return render_to_string("admin/chat/person_assistants.html", {"access": access_of(person), "person": person})

    @admin.display(description=_("Quotas"))
    def quotas(self, person: User) -> SafeString:
        return render_to_string("admin/chat/person_quotas.html", {"meters": meters_of(person)})

    # What is done with several.

    @admin.action(description=_("Deactivate: sign out, end answers"), permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        def shut_out(person: User) -> bool:
            _stop(people.deactivate(person, actor_of(request)))
            return True

        done = self._each(request, queryset, shut_out)
        self._told(request, ngettext("%d person was deactivated.", "%d people were deactivated.", done) % done)

    @admin.action(description=_("Reactivate"), permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        done = self._each(request, queryset, lambda person: people.reactivate(person, actor_of(request)))
        self._told(request, ngettext("%d person can sign in again.", "%d people can sign in again.", done) % done)

    @admin.action(description=_("Sign out everywhere"), permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        done = self._each(request, queryset, lambda person: people.end_sessions(person, actor_of(request)))
        self._told(request, ngettext("%d person was signed out.", "%d people were signed out.", done) % done)

    @admin.action(description=_("Add to the group"), permissions=["change"])
    def add_to_group(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        if group := self._chosen_group(request):
            done = people.join(self._changeable(request, queryset), group, actor_of(request))
            self._told(request, ngettext("%d person was added.", "%d people were added.", done) % done)

    @admin.action(description=_("Take out of the group"), permissions=["change"])
    def take_out_of_group(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        if group := self._chosen_group(request):
            done = people.leave(self._changeable(request, queryset), group, actor_of(request))
            self._told(request, ngettext("%d person was taken out.", "%d people were taken out.", done) % done)

    @admin.action(description=_("Send a link to choose a password"), permissions=["change"])
    def send_password_link(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        if not has_mail():
            text = _("No mail is set up (EMAIL_URL): nothing was sent. You can set a password on a person's page.")
            self.message_user(request, text, messages.ERROR)
            return
        try:
            done = self._each(
                request, queryset, lambda person: people.send_password_link(request, person, actor_of(request))
            )
        except OSError as error:
            self.message_user(request, _("The mail could not be sent: %s") % error, messages.ERROR)
            return
        self._told(request, ngettext("%d link was sent.", "%d links were sent.", done) % done)

    def _each(self, request: HttpRequest, chosen: Iterable[User], act: Callable[[User], bool]) -> int:
        """Do it to those whom this administrator may change; return for how many it changed something."""
        done = 0
        for person in self._changeable(request, chosen):
            try:
                done += act(person)
            except LastAdministratorError:
                self.message_user(request, f"{person}: {_LAST}", messages.ERROR)
        return done

    def _changeable(self, request: HttpRequest, chosen: Iterable[User]) -> list[User]:
        chosen = list(chosen)
        allowed = [person for person in chosen if rights.is_above(actor_of(request), person)]
        if left := len(chosen) - len(allowed):
            text = ngettext("%d person has rights that you lack.", "%d people have rights that you lack.", left) % left
            self.message_user(request, text, messages.ERROR)
        return allowed

    def _chosen_group(self, request: HttpRequest) -> Group | None:
        chosen = request.POST.get("group", "")
        group = rights.grantable_groups(actor_of(request)).filter(pk=int(chosen) if chosen.isdecimal() else 0).first()
        if group is None:
            self.message_user(request, _("Choose a group beside the action, of which you have all rights."), "error")
        return group

    def _told(self, request: HttpRequest, text: str) -> None:
        self.message_user(request, text, messages.SUCCESS)


def _stop(answers: Iterable[int]) -> None:
    for answer in answers:
        runner.cancel(answer)
