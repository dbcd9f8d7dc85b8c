"""How the backends fare, from what the site knows anyway: how their newest answers and probes went. Nobody is asked.

``observe`` is the only source. What the probes found is in ``BackendState``, which ``chat.operation.probing`` writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, Max, Min, Q
from django.utils import timezone

from chat.models import BackendState, Generation, Status
from chat.querysets import GenerationQuerySet

Level = Literal["unknown", "works", "shaky", "down"]

WINDOW = timedelta(minutes=10)
"""How old an answer may be to say something of how its backend is now."""
SLOW = timedelta(seconds=30)
"""Without a word for so long, a backend is slow."""
HORIZON = timedelta(days=7)
"""How far back the last answer of a backend that is down is looked for."""
FRESH_FOR = 5
"""Seconds for which a process does not look again."""

_BUSY = {"backend_full", "rate_limited"}
_OUTAGES = {
    "answer_timeout",
    "authentication_failed",
    "backend_error",
    "backend_misconfigured",
    "backend_missing",
    "backend_timeout",
    "backend_unavailable",
    "internal_error",
    "stream_interrupted",
}
"""Failures that are the backend's. The others come from the question, or from the model that one assistant names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is known of one backend."""

    answers: int = 0
    """That came to their end within the window."""
    failures: int = 0
    """Outages within the window."""
    refusals: int = 0
    """That it had no room for, within the window."""
    failures_in_a_row: int = 0
    """Outages since the last answer that came to its end."""
    failing_since: datetime | None = None
    """When the first of these was; only where there are any in the window."""
    silent: int = 0
    """Answers that have been waiting for their first word for longer than they should."""
    failed_at: datetime | None = None
    """When the last outage was, within the window."""
    probe_failures: int = 0
    """Of probes that tell how answers will fare, in a row."""
    probe_failing_since: datetime | None = None
    answered_probe_at: datetime | None = None
    """When such a probe last went well; only if it was the last one."""
    cooling_until: datetime | None = None
    """Only while it is to come."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether it makes sense to ask a backend now."""

    level: Level
    since: datetime | None = None
    """When it went down; only where it is."""


UNKNOWN = Health("unknown")


def health(aliases: Collection[str]) -> Mapping[str, Health]:
    """Return the health of these backends, not older than a few seconds; constant queries, however many answers."""
    key = "chat.operation.backend_health:" + ",".join(sorted(aliases))
    found: dict[str, Health] | None = cache.get(key)
    if found is None:
        found = {alias: judge(seen) for alias, seen in observe(aliases).items()}
        cache.set(key, found, FRESH_FOR)
    return found


def judge(seen: Observation) -> Health:
    """Return what an observation means. One failure alone may be bad luck; a row of them without an answer is not."""
    is_back = bool(seen.answered_probe_at and seen.failed_at and seen.answered_probe_at > seen.failed_at)
    if seen.cooling_until or seen.probe_failures >= 2 or (seen.failures_in_a_row >= 2 and not is_back):
        return Health("down", seen.failing_since or seen.probe_failing_since)
    if seen.failures_in_a_row or seen.probe_failures or seen.silent or seen.refusals:
        return Health("shaky")
    if 4 * seen.failures > seen.answers:
        return Health("shaky")
    return Health("works") if seen.answers or seen.answered_probe_at else UNKNOWN


def observe(aliases: Collection[str]) -> dict[str, Observation]:
    """Look at the answers and probes of these backends: three queries, and two more while one of them fails."""
    now = timezone.now()
    recent = _ended(aliases, now - WINDOW)
    rows = recent.values("backend").annotate(
        answers=Count("pk", filter=_ANSWERED),
        failures=Count("pk", filter=_FAILED),
        refusals=Count("pk", filter=Q(status=Status.FAILED, error_code__in=_BUSY)),
        answered_at=Max("finished_at", filter=_ANSWERED),
        failed_at=Max("finished_at", filter=_FAILED),
    )
    seen = {alias: Observation(silent=number) for alias, number in _silent(aliases, now).items()}
    failing = set()
    for row in rows:
        alias, answered_at, failed_at = row["backend"], row["answered_at"], row["failed_at"]
        counts = {name: row[name] for name in ("answers", "failures", "refusals")}
        seen[alias] = replace(seen.get(alias, Observation()), failed_at=failed_at, **counts)
        if failed_at and not (answered_at and answered_at > failed_at):
            failing.add(alias)
    for alias, (number, first) in (_failures(failing, now) if failing else {}).items():
        seen[alias] = replace(seen[alias], failures_in_a_row=number, failing_since=first)
    probed = _probed(aliases, now)
    return {alias: replace(seen.get(alias, Observation()), **probed.get(alias, {})) for alias in aliases}


_ANSWERED = Q(status=Status.COMPLETED) | Q(status=Status.INCOMPLETE, finish_reason__in=("length", "content_filter"))
_FAILED = Q(status=Status.FAILED, error_code__in=_OUTAGES)


def _probed(aliases: Collection[str], now: datetime) -> dict[str, dict[str, Any]]:
    """Return what is known of these from their probes, and whether they cool off."""
    found = {}
    for row in BackendState.objects.filter(alias__in=aliases):
        seen: dict[str, Any] = {"probe_failing_since": row.failing_since}
        # When the pause is over somebody may try: it is not down for ever where nobody comes.
        if row.cooling_until and row.cooling_until > now and settings.CHAT_COOLING_FAILURES > 0:
            seen["cooling_until"] = row.cooling_until
        if row.probed_at and row.probed_at > now - max(WINDOW, 2 * timedelta(seconds=settings.CHAT_PROBE_INTERVAL)):
            seen["probe_failures"] = row.probe_failures
            if row.told_at == row.probed_at:
                seen["answered_probe_at"] = row.told_at
        found[row.alias] = seen
    return found


def _ended(aliases: Collection[str], after: datetime) -> GenerationQuerySet:
    ends = (Status.COMPLETED, Status.INCOMPLETE, Status.FAILED)
    return Generation.objects.filter(backend__in=aliases, status__in=ends, finished_at__gte=after)


def _silent(aliases: Collection[str], now: datetime) -> dict[str, int]:
    waiting = Generation.objects.running().filter(
        backend__in=aliases, first_delta_at=None, started_at__lt=now - SLOW, stage__in=("", "reading", "writing")
    )
    return dict(waiting.values_list("backend").annotate(Count("pk")))


def _failures(aliases: Collection[str], now: datetime) -> dict[str, tuple[int, datetime]]:
    """Return the outages of each of these since its last answer: how many, and when the first was."""
    answered = _ended(aliases, now - HORIZON).filter(_ANSWERED)
    last = dict(answered.values_list("backend").annotate(Max("finished_at")))
    since = Q()
    for alias in aliases:
        since |= Q(backend=alias, finished_at__gt=last.get(alias, now - HORIZON))
    rows = _ended(aliases, now - HORIZON).filter(_FAILED).filter(since).values_list("backend")
    return {alias: (number, first) for alias, number, first in rows.annotate(Count("pk"), Min("finished_at"))}
