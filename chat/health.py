"""``/healthz`` and ``/readyz``: whether this process can serve pages, for who watches it or sends people to it.

The first says whether it lives, and who watches it may start it anew. The second says whether people are to be sent
here now: neither before all migrations are there, nor when it is about to stop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from chat.events import relay

logger = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds in which the database must answer."""


class DatabaseProbe:
    """Asks the database one thing, once at a time, however many want to know; by default whether it is there."""

    def __init__(self, ask: Callable[[], bool] | None = None) -> None:
        self._ask = ask
        self._lock = Lock()
        # Its own: a database that hangs must not keep a request's thread, nor be asked a second time meanwhile.
        self._thread = ThreadPoolExecutor(1, "health")
        self._question: Future[bool] | None = None

    async def is_reachable(self) -> bool:
        with self._lock:
            if self._question is None or self._question.done():
                self._question = self._thread.submit(self._ask or _ask)
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


def _is_migrated() -> bool:
    try:
        return not missing_migrations()
    except Error as error:
        logger.warning("The migrations cannot be read: %s", error)
        return False
    finally:
        connection.close()


def missing_migrations() -> list[str]:
    """Return the migrations of the code that the database does not have yet."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


_database = DatabaseProbe()
_migrations = DatabaseProbe(lambda: _is_migrated())
_has_been_migrated = Event()
"""Once they were all there, they stay, and are not looked for again."""
_is_leaving = Event()


def leave() -> None:
    """Let ``/readyz`` say that this process is about to stop."""
    _is_leaving.set()


def is_leaving() -> bool:
    return _is_leaving.is_set()


@require_safe
async def healthz(request: HttpRequest) -> JsonResponse:
    """Say of database and Redis whether they are there; 503 when no page can be served."""
    relay.start()
    is_reachable = await _database.is_reachable()
    state = {"database": "ok" if is_reachable else "unreachable", "redis": _redis()}
    response = JsonResponse(state, status=200 if is_reachable else 503)
    response["Cache-Control"] = "no-store"
    return response


@require_safe
async def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether people are to be sent to this process now, and what is missing; 503 where they are not."""
    missing = []
    if is_leaving():
        missing.append("stopping")
    if not await _database.is_reachable():
        missing.append("database")
    elif not _has_been_migrated.is_set():
        if await _migrations.is_reachable():
            _has_been_migrated.set()
        else:
            missing.append("migrations")
    response = JsonResponse({"ready": not missing, "missing": missing}, status=503 if missing else 200)
    response["Cache-Control"] = "no-store"
    return response


def _redis() -> str:
    if not relay.is_wanted:
        return "off"
    return "ok" if relay.is_connected else "unreachable"
