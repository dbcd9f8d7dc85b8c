"""The settings that are in effect, to be looked at."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from chat.admin_site import page
from chat.diagnosis.configuration import sections
from chat.models import Assistant, Drain, Quota, User

SOURCES: dict[str, str | Promise] = {
    "default": gettext_lazy("default"),
    "environment": gettext_lazy("environment variable"),
    ".env": gettext_lazy("file .env"),
    "settings": gettext_lazy("settings module"),
}


@page("settings/", permission="chat.view_settings", title=gettext_lazy("Settings"), name="settings", place=6)
@require_safe
def show_settings(request: HttpRequest) -> HttpResponse:
    """Show every setting that matters, without its secrets; nothing can be changed here."""
    shown = [
        {"name": section.name, "rows": [{"row": row, "source": SOURCES[row.source]} for row in section.rows]}
        for section in sections()
    ]
    context = {
        **admin.site.each_context(request),
        "title": _("Settings"),
        "sections": shown,
        "in_the_admin": _in_the_admin(cast("User", request.user)),
    }
    return render(request, "admin/chat/settings.html", context)


def _in_the_admin(user: User) -> list[dict[str, object]]:
    """Return what is set in the admin and nowhere else, for those who may see it there."""
    kinds = [
        (Assistant, _("What people may ask, with which backend, prompt, parameters and prices.")),
        (Quota, _("How much people may use.")),
        (Drain, _("Backends that take no new answers.")),
    ]
    return [
        {
            "name": model._meta.verbose_name_plural,
            "value": model._default_manager.count(),
            "what": what,
            "url": reverse(f"admin:chat_{model._meta.model_name}_changelist"),
        }
        for model, what in kinds
        if user.has_perm(f"chat.view_{model._meta.model_name}")
    ]
