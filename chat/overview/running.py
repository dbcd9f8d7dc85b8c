"""Answers that wait or are being written. Three queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Case, Count, F, IntegerField, OuterRef, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce, Length

from backends import chat_backends
from chat.models import DraftPiece, Generation, Status
from chat.people.reading import name_of
from chat.querysets import GenerationQuerySet
from chat.usage import BYTES_PER_TOKEN

SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An answer that is not over."""

    id: int
    conversation: UUID
    title: str
    """What the admin calls the conversation; its own title is made of what a person wrote."""
    person: str
    assistant: str
    backend: str
    status: str
    tokens: int
    """About how many it has so far."""
    since: datetime


def running() -> list[Running]:
    """Return the answers being written, those that began first, then those that wait; a few of them."""
    pieces = DraftPiece.objects.filter(message=OuterRef("pk")).order_by().values("message")
    piled = Subquery(pieces.annotate(all=Sum(Length("text"))).values("all"))
    found = (
        Generation.objects.filter(pk__in=_first_few())
        .annotate(
            written=Length("message__content"),
            more=Coalesce(piled, 0, output_field=IntegerField()),
        )
        .order_by(_ORDER, "queued_at", "pk")
        .values(
            "pk",
            "assistant_name",
            "backend",
            "status",
            "written",
            "more",
            conversation=F("message__conversation_id"),
            person=F("message__conversation__owner__username"),
            since=Coalesce("started_at", "queued_at"),
        )
    )
    return [
        Running(
            id=row["pk"],
            conversation=row["conversation"],
            title=name_of(row["conversation"]),
            person=row["person"],
            assistant=row["assistant_name"],
            backend=row["backend"],
            status=row["status"],
            tokens=(row["written"] + row["more"]) // BYTES_PER_TOKEN,
            since=row["since"],
        )
        for row in found
    ]


_ORDER = Case(When(status=Status.IN_PROGRESS, then=Value(0)), default=Value(1), output_field=IntegerField())


def _first_few() -> list[int]:
    # Asked for by themselves: a planner that takes every second answer for unfinished would join all of them.
    return list(_unfinished().order_by(_ORDER, "queued_at", "pk").values_list("pk", flat=True)[:SHOWN])


def _unfinished() -> GenerationQuerySet:
    # With the backends, there is an index that finds them also where the planner knows of their number only.
    return Generation.objects.unfinished().filter(backend__in=list(chat_backends))


def numbers() -> Mapping[str, tuple[int, int]]:
    """Return how many answers are being written by each backend, and how many wait for it."""
    found: dict[str, tuple[int, int]] = {}
    rows = _unfinished().order_by().values_list("backend", "status").annotate(Count("pk"))
    for alias, status, number in rows:
        written, waiting = found.get(alias, (0, 0))
        found[alias] = (written + number, waiting) if status == Status.IN_PROGRESS else (written, waiting + number)
    return found
