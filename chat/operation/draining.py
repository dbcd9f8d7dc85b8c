"""Draining: a backend takes no new answers while those that it has go on to their end, for a deploy or a repair."""

from __future__ import annotations

from chat.models import Drain, Generation
from chat.refusals import DrainedError


def drain(alias: str, *, message: str = "", by: str = "") -> None:
    """Let the backend (``Drain.EVERYTHING``: every one) take no new answers from now on. Harmless when repeated."""
    Drain.objects.update_or_create(alias=alias, defaults={"message": message, "by": by})


def restore(alias: str) -> bool:
    """Let the backend take new answers again; False if it did all along."""
    return Drain.objects.filter(alias=alias).delete()[0] > 0


def check_open(alias: str) -> None:
    """Do nothing where the backend takes new answers.

    Raises:
        DrainedError: it is being drained, or all are.
    """
    for drained in Drain.objects.filter(alias__in=[alias, Drain.EVERYTHING]):
        raise DrainedError(drained.message)


def unfinished(alias: str) -> int:
    """Return how many answers still wait or are being written there."""
    left = Generation.objects.unfinished()
    return left.count() if alias == Drain.EVERYTHING else left.filter(backend=alias).count()
