"""People and groups."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from chat.admin.common import Audited, WithAnswersAdmin
from chat.admin.conversations import erase
from chat.models import Conversation, User


@admin.register(User)
class PersonAdmin(WithAnswersAdmin, UserAdmin):  # type: ignore[type-arg]
    readonly_fields = ["last_login", "date_joined"]  # the site writes them

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        erase(obj.conversations.all())
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        erase(Conversation.objects.filter(owner__in=queryset))
        super().delete_queryset(request, queryset)


admin.site.unregister(Group)


@admin.register(Group)
class AuditedGroupAdmin(Audited, GroupAdmin):
    pass
