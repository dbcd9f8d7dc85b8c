"""Announcements: fetched by open pages, and dismissed."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from chat.banners import COOKIE, dismiss
from chat.preferences import remember
from chat.views.common import wants_json


@require_safe
@never_cache
def banners(request: HttpRequest) -> HttpResponse:
    """Return what this browser shows now, for a page that is open."""
    return render(request, "_banners.html", {"is_fragment": True})


@require_POST
def dismiss_banner(request: HttpRequest) -> HttpResponse:
    """Show a banner no more to this person or, where nobody is signed in, on this browser."""
    before = request.COOKIES.get(COOKIE, "")
    after = dismiss(request.user, request.POST.get("banner", ""), before)
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = "/"
    response = HttpResponse(status=204) if wants_json(request) else redirect(back)
    if after != before:
        remember(response, COOKIE, after)
    return response
