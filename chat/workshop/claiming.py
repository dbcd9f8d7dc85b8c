"""Which answers of rehearsals a worker takes, and how it lets go of them: all by conditional updates of rows."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import Error, IntegrityError, transaction
from django.utils import timezone

from chat.models import Drain, Generation, RehearsedAnswer, Status
from chat.storable import storable
from chat.workshop.trials import Run

logger = logging.getLogger(__name__)

MOST_RUNS = 3
"""A worker that dies may have died of what it was writing."""
_LEFT = {"worker": "", "slot": None, "started_at": None, "heartbeat_at": None}


def claim(worker: str, room: int) -> list[RehearsedAnswer]:
    """Make up to ``room`` of the waiting answers this worker's, no more of each backend than it has places."""
    if room <= 0 or Generation.objects.queued().exists():
        return []
    waiting = RehearsedAnswer.objects.to_take()
    aliases = set(waiting.order_by().values_list("backend", flat=True).distinct())
    if not aliases:
        return []
    drained = set(Drain.objects.values_list("alias", flat=True))
    if Drain.EVERYTHING in drained:
        return []
    taken = Counter(RehearsedAnswer.objects.running().values_list("backend", flat=True))
    claimed: list[RehearsedAnswer] = []
    for alias in sorted(aliases - drained):
        free = min(settings.CHAT_REHEARSAL_PARALLEL - taken[alias], room - len(claimed))
        next_ones = waiting.filter(backend=alias).select_related("question__rehearsal__owner")[: max(free, 0)]
        claimed += [answer for answer in next_ones if _take(answer, worker)]
    return claimed


def _take(answer: RehearsedAnswer, worker: str) -> bool:
    """Take the answer and one of its backend's places; False where another worker got there first."""
    now = timezone.now()
    running = RehearsedAnswer.objects.running().filter(backend=answer.backend)
    used = set(running.values_list("slot", flat=True))
    slot = next((slot for slot in range(settings.CHAT_REHEARSAL_PARALLEL) if slot not in used), None)
    if slot is None:
        return False
    mine = {"worker": worker, "slot": slot, "started_at": now, "heartbeat_at": now, "runs": answer.runs + 1}
    try:
        with transaction.atomic():
            if not RehearsedAnswer.objects.queued().filter(pk=answer.pk).update(status=Status.IN_PROGRESS, **mine):
                return False
    except IntegrityError:  # somebody took this place at the same moment
        return False
    for name, value in mine.items():
        setattr(answer, name, value)
    return True


def store(answer: RehearsedAnswer, run: Run, cost: Any) -> bool:
    """Give the answer its text and last status; False where it is no longer ours."""
    ours = RehearsedAnswer.objects.running().filter(pk=answer.pk, worker=answer.worker, runs=answer.runs)
    return bool(
        ours.update(
            status=run.status,
            content=storable(run.text),
            finish_reason=run.finish_reason,
            error_code=run.error_code,
            error_detail=run.error_detail,
            input_tokens=run.used.input_tokens if run.used else None,
            output_tokens=run.used.output_tokens if run.used else None,
            cost=cost,
            first_text_ms=run.first_text_ms,
            duration_ms=run.duration_ms,
            slot=None,
        )
    )


def put_back(answers: Iterable[int], *, worker: str = "") -> int:
    """Let answers whose worker died, or stops, wait again; one that was taken too often is interrupted for good."""
    held = RehearsedAnswer.objects.running().filter(pk__in=list(answers))
    held = held.filter(worker=worker) if worker else held
    given_up = held.filter(runs__gte=MOST_RUNS)
    lost = given_up.update(status=Status.INCOMPLETE, finish_reason="interrupted", **_LEFT)
    return lost + held.update(status=Status.QUEUED, **_LEFT)


def hand_over(pks: list[int], worker: str) -> None:
    """Let what a worker that stops had taken wait for the next one."""
    try:
        # Not a run that failed: whoever is next has as many.
        stopped = RehearsedAnswer.objects.run_by(worker).filter(pk__in=pks)
        stopped.update(status=Status.QUEUED, **_LEFT)
    except Error:
        logger.exception("Rehearsed answers could not be handed over")
