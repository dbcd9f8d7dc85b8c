"""What administrators do to what is going on: each act is in the audit log, or it was not done."""

from __future__ import annotations

import time
from collections.abc import Iterable

from django.db import transaction

from chat import audit
from chat.audit import Target
from chat.generation import cancel_generation
from chat.models import Generation, User
from chat.operation import draining
from chat.runner import runner

AT_ONCE = 5.0
"""Seconds that a request cancels answers for; where there are thousands, another one goes on."""
BATCH = 50


def cancel_answers(actor: User, answers: Iterable[Generation]) -> int:
    """End those of the answers that are not over; their text so far is kept. Return how many there were."""
    return sum(_cancel(actor, generation) for generation in answers)


def cancel_all(actor: User, alias: str) -> tuple[int, int]:
    """End the answers of a backend, those that wait first; return how many, and how many there was no time for."""
    unfinished = Generation.objects.unfinished().filter(backend=alias)
    # queued comes after in_progress: what waits would be taken by a worker meanwhile.
    pks = list(unfinished.order_by("-status", "queued_at").values_list("pk", flat=True))
    until, cancelled = time.monotonic() + AT_ONCE, 0
    while pks and time.monotonic() < until:
        some, pks = pks[:BATCH], pks[BATCH:]
        chosen = Generation.objects.select_related("message__conversation").in_bulk(some)
        cancelled += cancel_answers(actor, (chosen[pk] for pk in some if pk in chosen))
    return cancelled, unfinished.count()


def drain(actor: User, alias: str, message: str) -> None:
    """Let the backend (``Drain.EVERYTHING``: every one) take no new answers, and people read the message."""
    with transaction.atomic():
        draining.drain(alias, message=message, by=actor.username)
        audit.append("backend.drained", actor, Target(kind="drain", id=alias, name=alias))


def restore(actor: User, alias: str) -> bool:
    """Let the backend take new answers again; False if it did all along."""
    with transaction.atomic():
        was_drained = draining.restore(alias)
        if was_drained:
            audit.append("backend.restored", actor, Target(kind="drain", id=alias, name=alias))
    return was_drained


def _cancel(actor: User, generation: Generation) -> bool:
    with transaction.atomic():
        if not cancel_generation(generation):
            return False
        owner = generation.message.conversation.owner_id
        target = Target(kind="generation", id=str(generation.pk), owner_id=owner)
        audit.append("generation.cancelled", actor, target)
    runner.cancel(generation.pk)
    return True
