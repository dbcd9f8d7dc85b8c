"""All paths of the site. tests/chat/test_access.py holds who may open which."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path
from django.views.i18n import set_language

from chat.views.installing import sign_out

# The site's own log-in page has a brake on guessing passwords; the admin's has none.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/logout/", sign_out, name="account_logout"),
    path("accounts/", include("allauth.account.urls")),
    path("language/", set_language, name="set_language"),
    path("", include("chat.urls")),
]
