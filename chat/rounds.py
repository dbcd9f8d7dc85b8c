"""What each worker looks after besides its own answers: signs of life, who died, who left, what is over."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection
from typing import Self

from django.conf import settings
from django.db import Error, connection

from chat import banners, events, live, pieces, quotas, search
from chat.generation import end_answers_of_the_deactivated
from chat.operation import presence
from chat.queue import DeathWatch, renew, show_queue
from chat.retention.deleting import purge_deleted
from chat.retention.purging import Daily

logger = logging.getLogger(__name__)

REVOCATION_INTERVAL = 3.0
"""Seconds between two looks at who signed out, for all open streams: with hundreds of them, answers wait meanwhile."""
TIDYING_INTERVAL = 60.0
"""Seconds between two looks at what quotas need no longer."""


class Every:
    """Tells when something is due: at once, and then each time when so many seconds have gone by."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = -math.inf

    def is_due(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


class Rounds:
    """One worker's rounds; made in a thread that may wait for the database."""

    def __init__(self) -> None:
        self._showing = Every(presence.INTERVAL)
        self._revoking = Every(REVOCATION_INTERVAL)
        self._tidying = Every(TIDYING_INTERVAL)
        self._watch = DeathWatch()
        self._backlog = search.Backlog()
        self._daily = Daily()
        self._banners = banners.Watch()
        self.renewed_at = time.monotonic()
        """When the running answers were given a sign of life last."""

    def make(self, worker: str, running: set[int]) -> set[int]:
        """Look at all that is due; return which of the running answers are to be stopped."""
        if self._showing.is_due():
            presence.show(worker, len(running))
        end_answers_of_the_deactivated()
        ours = renew(worker, running) if running else set()
        self.renewed_at = time.monotonic()
        self._reap()
        if len(running) >= settings.CHAT_MAX_RUNNING:
            show_queue()  # with room to spare, nobody waits for longer than a blink
        if self._revoking.is_due():
            events.end_revoked_streams()
            events.forget_unwatched()
            self._banners.look()
        live.tell_watchers()
        self._backlog.work()
        self._tidy()
        return (running - ours) | set(self._daily.work(worker))

    def _reap(self) -> None:
        if reaped := self._watch.reap(3 * settings.CHAT_HEARTBEAT_INTERVAL):
            logger.warning("%s answers of a process that died were marked as interrupted", reaped)
            pieces.delete_orphans()

    def _tidy(self) -> None:
        purge_deleted()
        if self._tidying.is_due():
            quotas.settle_orphans()
            quotas.forget_old_counters()


class Pulse:
    """Gives signs of life where the rounds come too late for them, from a thread of its own.

    Rounds wait for the database behind the texts and ends of all answers, which takes seconds where there are hundreds,
    and there are none while the process stops. Without a sign, other processes would take its answers for dead.
    """

    def __init__(self, rounds: Rounds, worker: str, running: Callable[[], Collection[int]]) -> None:
        self._rounds = rounds
        self._worker = worker
        self._running = running
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over.set()
        self._thread.join(1)  # a database that is away keeps it for longer; nobody needs it any more

    def _run(self) -> None:
        interval = settings.CHAT_HEARTBEAT_INTERVAL
        while not self._is_over.wait(interval / 2):
            running = self._running()
            if running and time.monotonic() - self._rounds.renewed_at >= interval:
                self._beat(running)

    def _beat(self, running: Collection[int]) -> None:
        try:
            renew(self._worker, running)
        except Error as error:
            logger.warning("No sign of life could be given for %s answers: %s", len(running), error)
        finally:
            connection.close()
