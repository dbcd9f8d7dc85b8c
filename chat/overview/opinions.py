"""What people think of answers. Two queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from chat.models import Feedback, Rating

SHOWN = 4


@dataclass(frozen=True, slots=True)
class Opinions:
    """How many answers people found good and bad, and the newest bad ones."""

    good: int
    bad: int
    worst: tuple[Feedback, ...]

    @property
    def share(self) -> float | None:
        """Part that is good; None where nobody said anything."""
        return self.good / (self.good + self.bad) if self.good + self.bad else None


def opinions(start: datetime) -> Opinions:
    """Return what was said since then, of conversations that are still there."""
    said = Feedback.objects.filter(updated_at__gte=start, message__conversation__deleted_at=None)
    counts = said.aggregate(
        good=Count("pk", filter=Q(value=Rating.GOOD)),
        bad=Count("pk", filter=Q(value=Rating.BAD)),
    )
    bad = said.filter(value=Rating.BAD).select_related("person", "message__conversation", "message__generation")
    return Opinions(counts["good"], counts["bad"], tuple(bad.order_by("-updated_at")[:SHOWN]))
