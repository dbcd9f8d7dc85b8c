"""What each worker looks after besides its own answers: signs of life, who died, who left, what is over."""

from __future__ import annotations

import logging
import math
import time

from django.conf import settings

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

    def make(self, worker: str, running: set[int]) -> set[int]:
        """Look at all that is due; return which of the running answers are to be stopped."""
        if self._showing.is_due():
            presence.show(worker, len(running))
        end_answers_of_the_deactivated()
        ours = renew(worker, running) if running else set()
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
