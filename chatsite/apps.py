"""Django's admin with the site's own class."""

from __future__ import annotations

from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    default_site = "chat.admin_site.ChatAdminSite"
