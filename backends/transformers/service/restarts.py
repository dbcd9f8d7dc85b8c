"""When an engine process that broke may be started again."""

from __future__ import annotations

import time

from backends.exceptions import ChatBackendError

AFTER_FAILED_LOAD = 5.0
"""Seconds. What is wrong (no model, no memory) is seldom right at once, but an administrator may be fetching it."""

LONGEST_WAIT = 30.0
"""Seconds between attempts of an engine that crashes again and again."""


class Restarts:
    """Remembers failures, and says them again instead of trying in a hot loop.

    After a crash the next request may start the engine at once; after another one without an answer between, it waits
    1, 2, 4, … seconds.
    """

    def __init__(self) -> None:
        self.error: ChatBackendError | None = None
        self._crashes = 0
        self._not_before = 0.0

    def check(self) -> None:
        """Raise the last failure again if it is too early for another attempt."""
        wait = self._not_before - time.monotonic()
        if self.error and wait > 0:
            raise type(self.error)(str(self.error), hint=self.error.hint, retry_after=wait)
        self.error = None

    def load_failed(self, error: ChatBackendError) -> None:
        self._wait(error, AFTER_FAILED_LOAD)

    def crashed(self, error: ChatBackendError) -> None:
        self._wait(error, min(2.0 ** (self._crashes - 1), LONGEST_WAIT) if self._crashes else 0)
        self._crashes += 1

    def succeeded(self) -> None:
        self._crashes = 0

    def _wait(self, error: ChatBackendError, seconds: float) -> None:
        self.error = error
        self._not_before = time.monotonic() + seconds
