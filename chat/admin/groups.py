"""Groups: what their members may do, and use."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import Model
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from chat.admin.common import Audited, actor_of
from chat.people import rights
from chat.people.facts import assistants_of, quotas_of

admin.site.unregister(Group)


@admin.register(Group)
class AuditedGroupAdmin(Audited, GroupAdmin):
    """Groups, with the assistants and quotas that are for their members."""

    readonly_fields = ["members", "assistants", "quotas"]
    fields = ["name", "permissions", "members", "assistants", "quotas"]

    class Media:
        css = {"all": ["chat/admin-people.css"]}

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_give(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._may_give(request, obj)

    def _may_give(self, request: HttpRequest, group: Model | None) -> bool:
        return group is None or rights.grantable_groups(actor_of(request)).filter(pk=group.pk).exists()

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        if field is not None and db_field.remote_field.model is Permission:
            field.queryset = rights.grantable_permissions(actor_of(request))
        return field

    def get_fields(self, request: HttpRequest, obj: Group | None = None) -> list[Any]:
        return list(self.fields or []) if obj else ["name", "permissions"]

    @admin.display(description=_("Members"))
    def members(self, group: Group) -> SafeString:
        count = group.user_set.count()
        return render_to_string("admin/chat/group_members.html", {"group": group, "count": count})

    @admin.display(description=_("Assistants"))
    def assistants(self, group: Group) -> SafeString:
        return render_to_string("admin/chat/group_assistants.html", {"access": assistants_of(group)})

    @admin.display(description=_("Quotas"))
    def quotas(self, group: Group) -> SafeString:
        return render_to_string("admin/chat/group_quotas.html", {"quotas": quotas_of(group)})
