"""What a browser needs to install the site as an app: manifest, service worker, and a page for when it is offline."""

from __future__ import annotations

import hashlib
from typing import Any

from allauth.account.views import LogoutView
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_safe

SHELL = ("chat/tokens.css", "chat/base.css", "chat/pages.css", "chat/icon.svg")
"""What the offline page is made of."""
LIGHT, DARK = "#f6f7f6", "#111315"
"""The colour of --bg-side in tokens.css, which browsers paint around the page."""


@require_safe
@cache_control(no_cache=True)
def manifest(request: HttpRequest) -> JsonResponse:
    """Describe the site as an app, in the language of the page."""
    data = {
        "id": reverse("chat:home"),
        "name": settings.SITE_NAME,
        "short_name": settings.SITE_NAME[:12],
        "description": _("Conversations with the assistants of this site"),
        "lang": get_language(),
        "dir": "ltr",
        "start_url": reverse("chat:home"),
        "scope": reverse("chat:home"),
        "display": "standalone",
        "background_color": LIGHT,
        "theme_color": LIGHT,
        "categories": ["productivity"],
        "icons": [
            _icon("icon.svg", "any", "image/svg+xml"),
            _icon("icon-192.png", "192x192"),
            _icon("icon-512.png", "512x512"),
            _icon("icon-maskable-512.png", "512x512", purpose="maskable"),
        ],
        "shortcuts": [
            {
                "name": _("New chat"),
                "url": reverse("chat:home"),
                "icons": [_icon("icon-192.png", "192x192")],
            }
        ],
    }
    return JsonResponse(data, content_type="application/manifest+json")


def _icon(name: str, sizes: str, kind: str = "image/png", purpose: str = "any") -> dict[str, str]:
    return {"src": static(f"chat/{name}"), "sizes": sizes, "type": kind, "purpose": purpose}


@require_safe
@never_cache
def service_worker(request: HttpRequest) -> HttpResponse:
    """Return the script that stands between the pages and the network, with what this version of the site is made of.

    A browser that finds another text here than it has replaces the script, and the script what it has kept.
    """
    shell = [static(name) for name in SHELL]
    page = render(request, "chat/offline.html").content
    version = hashlib.sha256(b"\n".join([page, *(url.encode() for url in shell), _all_files()])).hexdigest()[:12]
    context = {"version": version, "offline": reverse("chat:offline"), "shell": shell, "static": settings.STATIC_URL}
    return render(request, "chat/sw.js", {"site": context}, content_type="text/javascript; charset=utf-8")


def _all_files() -> bytes:
    return str(getattr(staticfiles_storage, "manifest_hash", "")).encode()


@require_safe
@cache_control(max_age=0)
def offline(request: HttpRequest) -> HttpResponse:
    """Show what a browser keeps for when the site cannot be reached: in all languages, that of the person first."""
    return render(request, "chat/offline.html")


class SignOut(LogoutView):  # type: ignore[misc]
    """allauth's, which also has the browser forget what it keeps: the service worker, its files, and drafts."""

    def post(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponse = super().post(*args, **kwargs)
        response["Clear-Site-Data"] = '"storage"'
        return response


sign_out = SignOut.as_view()
