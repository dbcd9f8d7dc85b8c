"""The administrator's view: a module for each subject, each of which registers its models and pages."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from chat.admin import (  # noqa: F401 - they register themselves
    addresses,
    assistants,
    audit,
    banners,
    configuration,
    conversations,
    draining,
    feedback,
    generations,
    groups,
    health,
    home,
    invitations,
    live,
    moderation,
    people,
    prices,
    quotas,
    rehearsals,
    retention,
    sharing,
    signup,
    usage,
)

admin.site.site_header = admin.site.site_title = settings.SITE_NAME
admin.site.index_title = _("Administration")
