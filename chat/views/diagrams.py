"""The page inside which a diagram is drawn."""

from __future__ import annotations

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

POLICY = {
    "default-src": [NONE],
    "script-src": [SELF],
    # What draws puts its styles into the drawing. Nothing can be fetched by them.
    "style-src": [SELF, UNSAFE_INLINE],
    "frame-ancestors": [SELF],
    "base-uri": [NONE],
    "form-action": [NONE],
    "sandbox": ["allow-scripts"],
}


@csp(POLICY)  # type: ignore[untyped-decorator]
@xframe_options_exempt  # frame-ancestors says who may, and to browsers of today alone
@require_safe
def diagram(request: HttpRequest) -> HttpResponse:
    """Show an empty page of no origin that draws what the page around it sends; there is nothing of anybody in it."""
    return render(request, "chat/diagram.html")
