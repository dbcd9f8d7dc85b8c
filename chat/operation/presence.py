"""Which processes of the site are alive: each gives a sign of life every few seconds, and says when it goes."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from chat.models import Worker

INTERVAL = 5.0
"""Seconds between two signs of life of a process."""
SILENT_AFTER = timedelta(seconds=20)
"""Without a sign for so long, a process counts as dead."""
FORGOTTEN_AFTER = timedelta(hours=1)
"""For so long it is shown that a process died."""


def show(name: str, running: int) -> None:
    """Give a sign of life for this process, which writes so many answers."""
    now = timezone.now()
    if not Worker.objects.filter(name=name).update(seen_at=now, running=running):
        Worker.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()
        Worker.objects.update_or_create(name=name, defaults={"seen_at": now, "running": running})


def leave(name: str) -> None:
    """Let this process be gone."""
    Worker.objects.filter(name=name).delete()


def is_silent(worker: Worker) -> bool:
    """Whether the process died, or cannot reach the database."""
    return timezone.now() - worker.seen_at > SILENT_AFTER
