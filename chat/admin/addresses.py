"""E-mail addresses of people: django-allauth's list, which only superusers change.

Whoever can put an address of theirs beside somebody's account gets the mail that sets its password.
"""

from __future__ import annotations

from typing import Any

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.http import HttpRequest

from chat.admin.common import actor_of

admin.site.unregister(EmailAddress)


@admin.register(EmailAddress)
class AddressAdmin(EmailAddressAdmin):  # type: ignore[misc]
    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Leave out what marks addresses as verified: it asks for no permission to change them."""
        actions: dict[str, Any] = super().get_actions(request)
        return actions if actor_of(request).is_superuser else {}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return actor_of(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return actor_of(request).is_superuser
