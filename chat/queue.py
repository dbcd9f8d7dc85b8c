"""The queue of answers that wait for a worker: who is next, who runs what, and who died. The queue is the database."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from backends import Stage
from chat import events
from chat.generation import end_generation, stage_event
from chat.models import Generation, Status

SHOWN_QUEUE = 500
"""How many of those who wait in the database's queue are told their place in it."""


def claim(worker: str, room: int) -> list[Generation]:
    """Make up to ``room`` of the queued answers this worker's, in the order that is fair to those who asked."""
    now = timezone.now()
    mine = {"status": Status.IN_PROGRESS, "worker": worker, "started_at": now, "heartbeat_at": now}
    # The place in our queue is past; the backend may have a queue of its own.
    mine |= {"stage": "", "stage_position": None}
    related = ("assistant", "message__conversation")
    waiting = list(Generation.objects.queued().select_related(*related)[:2])
    if len(waiting) > 1:  # finding out whose turn it is takes longer than all the rest
        waiting = list(Generation.objects.in_turn().select_related(*related)[:room])
    claimed = []
    for generation in waiting:
        if Generation.objects.queued().filter(pk=generation.pk).update(**mine) != 1:
            continue  # another worker got there first
        if generation.stage_position is not None:
            events.publish_all([stage_event(generation, Stage("queued"))])
        for name, value in mine.items():
            setattr(generation, name, value)
        claimed.append(generation)
    return claimed


def show_queue() -> None:
    """Store and tell those who wait for room in a worker their places, where these have changed.

    Places are counted in the order in which ``claim`` takes the answers.
    """
    moved = []
    waiting = Generation.objects.in_turn().select_related("message")[:SHOWN_QUEUE]
    for position, generation in enumerate(waiting, start=1):
        if generation.stage_position != position:
            generation.stage, generation.stage_position = "queued", position
            moved.append(generation)
    # One that a worker claims meanwhile is queued no longer, and keeps what the worker wrote.
    Generation.objects.queued().bulk_update(moved, ["stage", "stage_position"], batch_size=100)
    events.publish_all(stage_event(generation, Stage("queued", generation.stage_position)) for generation in moved)


def renew(worker: str, running: Collection[int]) -> set[int]:
    """Give a sign of life for what this worker runs; return the ids of what is still its own."""
    ours = Generation.objects.run_by(worker).filter(pk__in=running).order_by("pk")
    with transaction.atomic():
        # In the order in which texts are stored, by another thread: else each might wait for the other.
        still_ours = set(ours.select_for_update(no_key=True).values_list("pk", flat=True))
        ours.update(heartbeat_at=timezone.now())
    return still_ours


class DeathWatch:
    """Finds the answers whose worker died: they give no sign of life for a while, by the clock of who looks.

    What time it is for the worker does not matter, only that its signs change: clocks differ, and are set.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[datetime | None, float]] = {}
        """The newest sign of each answer, and when we saw it first."""
        self._looked_at = 0.0

    def reap(self, age: float) -> int:
        """Mark the answers without a new sign for ``age`` seconds as interrupted; return how many there were."""
        now = time.monotonic()
        # Where we could not look for so long, or not end one, others could give no sign: all get their time again.
        seen = self._seen if now - self._looked_at < age else {}
        self._seen, self._looked_at = {}, now
        signs = dict(Generation.objects.running().values_list("pk", "heartbeat_at"))
        seen = {pk: seen[pk] if pk in seen and seen[pk][0] == sign else (sign, now) for pk, sign in signs.items()}
        silent = [pk for pk, (_, since) in seen.items() if now - since >= age]
        dead = Generation.objects.running().filter(pk__in=silent).select_related("message__conversation")
        reaped = sum(
            end_generation(generation, Status.INCOMPLETE, unless_renewed=True, finish_reason="interrupted")
            for generation in dead
            if generation.heartbeat_at == signs[generation.pk]
        )
        self._seen = seen
        return reaped
