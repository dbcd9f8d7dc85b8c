"""Middleware of the site."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.decorators import sync_only_middleware
from django.utils.translation import gettext as _

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class DatabaseOutage:
    """Answers what needs the database while it is away or full: 503, with what was typed, ready to be sent again."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, OperationalError | InterfaceError):
            return None
        logger.error("%s %s had to do without the database: %s", request.method, request.path, exception)
        response: HttpResponse
        if "application/json" in request.headers.get("Accept", ""):
            reason = _("The site cannot store anything at the moment. Your message is kept here: send it again soon.")
            response = JsonResponse({"errors": {"__all__": [reason]}}, status=503)
        else:
            typed = {name: request.POST.get(name, "") for name in ("content", "key", "assistant")}
            response = render(request, "503.html", {"typed": typed}, status=503)
        response["Retry-After"] = "5"
        return response


@sync_only_middleware
def one_thread(get_response: GetResponse) -> GetResponse:
    """Run all middleware above this, which must be the last, in the thread of the request.

    Django's own middleware, run asynchronously, goes to that thread and back twice for each of them; below a
    synchronous one the whole chain goes there once.
    """
    return get_response
