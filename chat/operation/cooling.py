"""Cooling off: a backend that failed several times in a row is left alone for a while.

New answers are refused at once then, with the time of the next try, instead of each person waiting for a time-out. A
circuit breaker (Michael Nygard, "Release It!", 2007; Netflix's Hystrix): closed while all is well, open while the
backend cools off, half open when the time is over and one answer is let through to see. docs/operation.md has more.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat.models import BackendState, Generation, Status
from chat.refusals import CoolingOffError

logger = logging.getLogger(__name__)

FIRST = timedelta(seconds=15)
"""How long the first pause is; each further one is twice as long as the one before."""
LONGEST = timedelta(minutes=5)
WINDOW = timedelta(minutes=10)
"""Failures that lie further apart are not in a row."""

_OUTAGES = {
    "authentication_failed",
    "backend_misconfigured",
    "backend_timeout",
    "backend_unavailable",
    "stream_interrupted",
}
"""What says that the next answer will hardly fare better; not what one question, one model or a bug of ours causes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """Whether a backend is asked, and why not. Each of the functions below returns what it is after something."""

    failures: int = 0
    """Answers without any text in a row, of those that the backend is to blame for."""
    probe_failures: int = 0
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    coolings: int = 0
    cooling_until: datetime | None = None
    trial_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it cools off, or is being tried."""
        return self.cooling_until is not None


_COLUMNS = tuple(Circuit.__dataclass_fields__)


def pause(coolings: int) -> timedelta:
    """Return how long the pause of this number is."""
    times: int = 2 ** min(coolings - 1, 16)
    return min(FIRST * times, LONGEST)


def after_failure(seen: Circuit, *, now: datetime, asked_at: datetime, limit: int, is_probe: bool = False) -> Circuit:
    """Count an outage of what was asked then; open the circuit where there are ``limit`` in a row (0: never)."""
    if not seen.is_open and seen.failed_at and now - seen.failed_at > WINDOW:
        seen = Circuit()
    counted = replace(
        seen,
        failures=seen.failures + (not is_probe),
        probe_failures=seen.probe_failures + is_probe,
        failing_since=seen.failing_since or now,
        failed_at=now,
    )
    if limit <= 0 or counted.failures + counted.probe_failures < limit:
        return counted
    # While it is open, only what was asked to see whether it works again says something: not the answers that were
    # under way already, of which there may be a hundred.
    if seen.cooling_until is not None and asked_at < (seen.trial_at or seen.cooling_until):
        return counted
    return replace(counted, coolings=seen.coolings + 1, cooling_until=now + pause(seen.coolings + 1), trial_at=None)


def after_good_probe(seen: Circuit, limit: int) -> Circuit:
    """Close the circuit on probation: one more failure opens it again, for longer than last time."""
    if not seen.is_open:
        return replace(seen, probe_failures=0)
    return replace(
        seen, failures=min(seen.failures, max(limit - 1, 0)), probe_failures=0, cooling_until=None, trial_at=None
    )


def after_asking(seen: Circuit, now: datetime) -> Circuit | None:
    """Return what it is when another answer is asked for; None where that is refused."""
    if seen.cooling_until is None:
        return seen
    if now < seen.cooling_until:
        return None
    # The one that may try. Another one may where nothing is heard of this one for so long.
    return replace(seen, trial_at=now, cooling_until=now + pause(max(seen.coolings, 1)))


def check_cool(alias: str) -> None:
    """Do nothing where the backend may be asked; of those who come when a pause is over, one may.

    Raises:
        CoolingOffError: it cools off; with the time of the next try.
    """
    row = BackendState.objects.filter(alias=alias, cooling_until__isnull=False).first()
    if row is None or settings.CHAT_COOLING_FAILURES <= 0:
        return
    tried = after_asking(_circuit(row), timezone.now())
    if tried is None:
        raise CoolingOffError(resets_at=row.cooling_until)
    ours = BackendState.objects.filter(alias=alias, cooling_until=row.cooling_until)
    if ours.update(cooling_until=tried.cooling_until, trial_at=tried.trial_at) != 1:
        raise CoolingOffError(resets_at=tried.cooling_until)  # somebody else tries


def note_end(generation: Generation) -> None:
    """Take note of how an answer ended."""
    if settings.CHAT_COOLING_FAILURES <= 0:
        return
    if _was_answered(generation):
        # Most often there is nothing to forget, and nothing is written.
        if (row := BackendState.objects.filter(alias=generation.backend).first()) and _circuit(row) != Circuit():
            _write(generation.backend, Circuit())
    elif _was_outage(generation):
        _count(generation.backend, generation.queued_at, is_probe=False)


def note_probe(alias: str, begun_at: datetime, *, is_good: bool) -> None:
    """Take note of how a probe went that tells whether the backend works."""
    if not is_good:
        _count(alias, begun_at, is_probe=True)
        return
    with transaction.atomic():
        row = BackendState.objects.select_for_update().get(alias=alias)
        after = after_good_probe(_circuit(row), settings.CHAT_COOLING_FAILURES)
        if after != _circuit(row):
            _write(alias, after)


def is_outage(code: str) -> bool:
    """Whether a failure with this code counts."""
    return code in _OUTAGES


def _count(alias: str, asked_at: datetime, *, is_probe: bool) -> None:
    with transaction.atomic():
        BackendState.objects.get_or_create(alias=alias)
        row = BackendState.objects.select_for_update().get(alias=alias)
        limit = settings.CHAT_COOLING_FAILURES
        now = timezone.now()
        after = after_failure(_circuit(row), now=now, asked_at=asked_at, limit=limit, is_probe=is_probe)
        _write(alias, after)
        if after.cooling_until:
            # Sooner than usual: before somebody has to try.
            rows = BackendState.objects.filter(alias=alias, next_probe_at__gt=after.cooling_until)
            rows.update(next_probe_at=after.cooling_until)
    if after.coolings > row.coolings:
        logger.warning("The backend %s cools off until %s", alias, after.cooling_until)


def _circuit(row: BackendState) -> Circuit:
    return Circuit(**{name: getattr(row, name) for name in _COLUMNS})


def _write(alias: str, circuit: Circuit) -> None:
    BackendState.objects.filter(alias=alias).update(**{name: getattr(circuit, name) for name in _COLUMNS})


def _was_answered(generation: Generation) -> bool:
    return generation.status == Status.COMPLETED or (
        generation.status == Status.INCOMPLETE and generation.finish_reason in {"length", "content_filter"}
    )


def _was_outage(generation: Generation) -> bool:
    """Whether the person waited for nothing: who has got some text was at least not kept waiting."""
    has_text = generation.first_delta_at is not None and not (
        generation.started_at and generation.first_delta_at < generation.started_at
    )
    return generation.status == Status.FAILED and is_outage(generation.error_code) and not has_text
