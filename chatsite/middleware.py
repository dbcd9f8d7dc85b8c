"""Middleware of the site."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_only_middleware

GetResponse = Callable[[HttpRequest], HttpResponseBase]


@sync_only_middleware
def one_thread(get_response: GetResponse) -> GetResponse:
    """Run all middleware above this, which must be the last, in the thread of the request.

    Django's own middleware, run asynchronously, goes to that thread and back twice for each of them; below a
    synchronous one the whole chain goes there once.
    """
    return get_response
