"""The live board: what is being written and what waits at this moment, in all processes of the site.

All of it is read from the database, so that any process can tell. While somebody watches at this process, its runner
tells all who do the same thing once a second (``tell_watchers``); while nobody does, it costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max
from django.db.models.functions import Length
from django.utils import timezone

from backends import chat_backends
from chat import events
from chat.models import Assistant, DraftPiece, Drain, Generation, Message, Price, Status
from chat.operation.backend_health import Health, health
from chat.people.reading import name_of
from chat.usage import BYTES_PER_TOKEN

SHOWN = 100
"""Answers that the board shows; of the others it gives the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that waits or is being written. Nothing of its text."""

    id: int
    person: str
    assistant: str
    backend: str
    is_queued: bool
    stage: str
    """Why there is no text yet, in the words of ``backends.StageName``; ``writing`` where there is some."""
    position: int | None
    age: int
    """Seconds since it was asked for."""
    tokens: int
    """About how many have been written."""
    rate: float | None
    """About how many a second, since the first text; None before, and for one that goes on with a cut answer."""
    cost: str
    """About what it has cost so far, what it was asked included; a decimal number."""
    worker: str
    """The process that writes it: host and process id."""
    conversation: str = ""
    """Its id, and what the admin calls it, for those who may see conversations."""
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A backend on the board."""

    alias: str
    label: str
    running: int
    queued: int
    health: Health
    is_drained: bool
    message: str
    """What people are told who ask for it, where it is drained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All that is going on at one moment."""

    running: int
    queued: int
    answers: Sequence[Answer]
    backends: Sequence[Line]
    is_drained: bool
    """Whether all backends are, by one drain for all of them."""

    @property
    def hidden(self) -> int:
        """How many answers are not among ``answers``."""
        return max(0, self.running + self.queued - len(self.answers))


def board() -> Board:
    """Look at what is going on: a handful of queries, however much it is."""
    counts: Counter[tuple[str, str]] = Counter()
    for backend, status, number in (
        Generation.objects.unfinished().order_by().values_list("backend", "status").annotate(Count("pk"))
    ):
        counts[backend, status] = number
    drained = {drain.alias: drain.message for drain in Drain.objects.all()}
    aliases = [*chat_backends, *sorted({backend for backend, _ in counts} - set(chat_backends))]
    known = health(aliases)
    lines = [
        Line(
            alias=alias,
            label=chat_backends.label(alias),
            running=counts[alias, Status.IN_PROGRESS],
            queued=counts[alias, Status.QUEUED],
            health=known[alias],
            is_drained=alias in drained,
            message=drained.get(alias, ""),
        )
        for alias in aliases
    ]
    return Board(
        running=sum(line.running for line in lines),
        queued=sum(line.queued for line in lines),
        answers=_answers(),
        backends=lines,
        is_drained=Drain.EVERYTHING in drained,
    )


def tell_watchers() -> None:
    """Tell who watches the board at this process what is going on; does nothing where nobody does."""
    watched = [channel for channel in (events.LIVE, events.LIVE_WITH_TITLES) if events.is_watched(channel)]
    if watched:
        now = board()
        for channel in watched:
            data = as_data(now, with_titles=channel == events.LIVE_WITH_TITLES)
            events.publish_here(channel, "live.snapshot", data)


def as_data(now: Board, *, with_titles: bool) -> dict[str, Any]:
    """Return the board as the page's script reads it."""
    answers = [asdict(answer) for answer in now.answers]
    if not with_titles:
        for answer in answers:
            answer["conversation"] = answer["title"] = ""
    backends = [
        {
            "alias": line.alias,
            "running": line.running,
            "queued": line.queued,
            "level": line.health.level,
            "is_drained": line.is_drained,
            "message": line.message,
        }
        for line in now.backends
    ]
    totals = {"running": now.running, "queued": now.queued, "hidden": now.hidden, "is_drained": now.is_drained}
    return {**totals, "answers": answers, "backends": backends}


_FIELDS = (
    *("pk", "status", "stage", "stage_position", "queued_at", "started_at", "first_delta_at", "worker", "backend"),
    *("assistant_id", "assistant_name", "cost", "parameters", "message__conversation__owner__username"),
    *("message__conversation_id", "message__conversation__deleted_at"),
    "message__parent__parent__generation__input_tokens",
    "message__parent__parent__generation__output_tokens",
)


def _answers() -> list[Answer]:
    """Return the oldest of those that are being written, then of those that wait."""
    unfinished = Generation.objects.unfinished().annotate(asked=Length("message__parent__content"))
    # in_progress comes before queued, and an index has them in this order.
    rows = list(unfinished.order_by("status", "queued_at").values(*_FIELDS, "asked")[:SHOWN])
    written = _tokens_written([row["pk"] for row in rows if row["status"] == Status.IN_PROGRESS])
    now = timezone.now()
    prices = _prices({row["assistant_id"] for row in rows if row["assistant_id"]}, now)
    return [_answer(row, written.get(row["pk"], 0), prices.get(row["assistant_id"]), now) for row in rows]


def _prices(assistants: Collection[int], now: datetime) -> dict[int, Price]:
    """Return what these assistants cost now: two queries for all of them."""
    own = Assistant.objects.filter(pk__in=assistants).values_list("pk", "input_price", "output_price")
    prices = {pk: Price(input_price=for_input, output_price=for_output) for pk, for_input, for_output in own}
    return prices | Price.objects.filter(assistant__in=assistants).in_force_by_assistant(now)


def _answer(row: dict[str, Any], tokens: int, price: Price | None, now: datetime) -> Answer:
    began = row["first_delta_at"]
    was_continued = bool(began and row["started_at"] and began < row["started_at"])
    writes_for = (now - began).total_seconds() if began and not was_continued else 0.0
    is_queued = row["status"] == Status.QUEUED
    is_there = row["message__conversation__deleted_at"] is None
    return Answer(
        id=row["pk"],
        person=row["message__conversation__owner__username"],
        assistant=row["assistant_name"],
        backend=row["backend"],
        is_queued=is_queued,
        stage="queued" if is_queued else ("writing" if tokens else row["stage"]),
        position=row["stage_position"],
        age=max(0, int((now - row["queued_at"]).total_seconds())),
        tokens=tokens,
        rate=round(tokens / writes_for, 1) if writes_for > 0.5 and tokens else None,
        cost=str(_cost(row, tokens, price)),
        worker=":".join(row["worker"].split(":")[:2]),
        conversation=str(row["message__conversation_id"]) if is_there else "",
        title=name_of(row["message__conversation_id"]) if is_there else "",
    )


def _cost(row: dict[str, Any], tokens: int, price: Price | None) -> Decimal:
    """Return about what it has cost so far: nothing before it began, then what was asked, and what is written."""
    cost: Decimal = row["cost"]
    if price is None or row["status"] == Status.QUEUED:
        return cost
    before = "message__parent__parent__generation"
    past = (row[f"{before}__input_tokens"] or 0) + (row[f"{before}__output_tokens"] or 0)
    system = 0 if past else len(str(row["parameters"].get("system_prompt", "")))
    asked = past + ((row["asked"] or 0) + system) // BYTES_PER_TOKEN
    return (cost + price.cost(asked, tokens)).quantize(Decimal("0.000001"))


def _tokens_written(messages: Collection[int]) -> dict[int, int]:
    """Return about how many tokens of these answers are stored, without reading their texts.

    The newest piece says how long the text before it is, and how many bytes a character has in this language.
    """
    newest = DraftPiece.objects.filter(message__in=messages).order_by().values("message").annotate(last=Max("id"))
    pieces = DraftPiece.objects.filter(pk__in=newest.values("last")).values_list("message", "offset", "text")
    found = {}
    for message, offset, text in pieces:
        width = len(text.encode("utf-8", "replace")) / max(len(text), 1)
        found[message] = round((offset + len(text)) * width / BYTES_PER_TOKEN)
    # What was put in one piece a moment ago.
    others = Message.objects.filter(pk__in=set(messages) - found.keys()).annotate(length=Length("content"))
    return found | {pk: length // BYTES_PER_TOKEN for pk, length in others.values_list("pk", "length")}
