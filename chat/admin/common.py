"""What many of the admin's pages have in common."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from chat import witness
from chat.admin.lists import Listed, RecentValuesFilter
from chat.models import Feedback, Generation, LegalHold, ModerationFlag, Rehearsal, Share, User
from chat.retention.holds import HeldError, holds_on


def actor_of(request: HttpRequest) -> User:
    """Return the administrator who asks."""
    return cast("User", request.user)


class Audited(Listed):
    """Tells the audit log what is deleted: of that the admin sends no signal."""

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        entries = super().log_deletions(request, queryset)
        witness.tell_all(entries)
        return entries


class ReadOnlyAdmin(Audited):
    """For rows that the site writes: to be looked at and, where it makes sense, deleted."""

    is_long = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class NeverChangingAdmin(Listed):
    """For rows that are written once."""

    is_long = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class WithAnswersAdmin(Audited):
    """For rows with which others go that not everybody who may delete them may delete by themselves."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        names, counts, missing, protected = super().get_deleted_objects(objs, request)
        models = (Generation, Feedback, Share, Rehearsal, ModerationFlag, LegalHold)
        going = {str(model._meta.verbose_name) for model in models}
        held = [str(HeldError(hold)) for hold in holds_on(objs)]
        return names, counts, missing - going, [*protected, *held]

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().delete_view(request, *args, **kwargs)
        except HeldError as error:  # set a moment ago
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.path)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changelist_view(request, *args, **kwargs)
        except HeldError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


ValuesFilter = RecentValuesFilter
"""The values of a column, with a name for the empty one."""
