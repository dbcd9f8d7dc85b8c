"""What many of the admin's pages have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from chat import witness
from chat.holds import HeldError, holds_on
from chat.models import Feedback, Generation, LegalHold, ModerationFlag, Share


class Audited(admin.ModelAdmin):  # type: ignore[type-arg]
    """Tells the audit log what is deleted: of that the admin sends no signal."""

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        entries = super().log_deletions(request, queryset)
        witness.tell_all(entries)
        return entries


class ReadOnlyAdmin(Audited):
    """For rows that the site writes: to be looked at and, where it makes sense, deleted."""

    show_full_result_count = False  # a count of millions for one number

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class NeverChangingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """For rows that are written once."""

    show_full_result_count = False  # a count of millions for one number

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class WithAnswersAdmin(Audited):
    """For rows with which answers go, and feedback, that nobody may delete by themselves."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        names, counts, missing, protected = super().get_deleted_objects(objs, request)
        going = {str(model._meta.verbose_name) for model in (Generation, Feedback, Share, ModerationFlag, LegalHold)}
        held = [str(HeldError(hold)) for hold in holds_on(objs)]
        return names, counts, missing - going, [*protected, *held]

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().delete_view(request, *args, **kwargs)
        except HeldError as error:  # set a moment ago
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.path)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changelist_view(request, *args, **kwargs)
        except HeldError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


class ValuesFilter(admin.AllValuesFieldListFilter):
    """The values of a column, with a name for the empty one: a link must have one."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield choice if str(choice["display"]) else {**choice, "display": _("None")}
