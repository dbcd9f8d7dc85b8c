"""``/healthz``: whether this process can serve pages, for whoever watches it or sends people to it."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from chat.events import relay

logger = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds in which the database must answer."""


class DatabaseProbe:
    """Asks the database whether it is there, one question at a time, however many want to know."""

    def __init__(self) -> None:
        self._lock = Lock()
        # Its own: a database that hangs must not keep a request's thread, nor be asked a second time meanwhile.
        self._thread = ThreadPoolExecutor(1, "health")
        self._question: Future[bool] | None = None

    async def is_reachable(self) -> bool:
        with self._lock:
            if self._question is None or self._question.done():
                self._question = self._thread.submit(_ask)
            question = self._question
        answered, _ = await asyncio.wait([asyncio.wrap_future(question)], timeout=PATIENCE)
        return bool(answered) and question.result()


def _ask() -> bool:
    try:
        # A new connection each time: one that was kept says nothing of whether there is room for another.
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return True
    except Error as error:
        logger.warning("The database cannot be reached: %s", error)
        return False
    finally:
        connection.close()


_database = DatabaseProbe()


@require_safe
async def healthz(request: HttpRequest) -> JsonResponse:
    """Say of database and Redis whether they are there; 503 when no page can be served."""
    relay.start()
    is_reachable = await _database.is_reachable()
    state = {"database": "ok" if is_reachable else "unreachable", "redis": _redis()}
    response = JsonResponse(state, status=200 if is_reachable else 503)
    response["Cache-Control"] = "no-store"
    return response


def _redis() -> str:
    if not relay.is_wanted:
        return "off"
    return "ok" if relay.is_connected else "unreachable"
