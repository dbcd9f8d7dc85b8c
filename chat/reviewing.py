"""Feedback as administrators work through it: counted, read, marked, taken along for evaluation.

What somebody rated may be read by those whom they let, or by who may read conversations and said why.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from chat import audit
from chat.audit import Target
from chat.models import Feedback, Message, Rating, User
from chat.people import reading

_AT_ONCE = 20
"""Rows whose conversations are held at once while all are written."""


@dataclass(frozen=True, slots=True)
class Total:
    """How many thumbs an assistant got."""

    assistant: str
    good: int
    bad: int

    @property
    def percent_good(self) -> int:
        return round(100 * self.good / (self.good + self.bad))


def reviewable() -> QuerySet[Feedback]:
    """Return all feedback but that in conversations that their owner deleted."""
    return Feedback.objects.filter(message__conversation__deleted_at=None)


def totals(chosen: QuerySet[Feedback]) -> list[Total]:
    """Return the thumbs of each assistant among these, those with the most first; one query."""
    named = chosen.order_by().values_list("message__generation__assistant_name")
    counted = named.annotate(
        good=Count("pk", filter=Q(value=Rating.GOOD), distinct=True),
        bad=Count("pk", filter=Q(value=Rating.BAD), distinct=True),
    )
    return sorted((Total(*row) for row in counted), key=lambda total: -(total.good + total.bad))


def review(feedback: Feedback, reviewer: User, note: str | None = None) -> None:
    """Mark it as reviewed by this administrator; with None, the note stays as it is."""
    values: dict[str, Any] = {"reviewed_at": timezone.now(), "reviewed_by": reviewer.username}
    if note is not None:
        values["review_note"] = note
    Feedback.objects.filter(pk=feedback.pk).update(**values)


def may_read_exchange(feedback: Feedback, reader: User) -> bool:
    """Tell whether the reader may see what was asked and answered: they were let, or said why."""
    return feedback.shares_exchange or reading.is_open(feedback.message.conversation, reader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an export is to have."""

    with_names: bool = False
    reason: str = ""
    """Why conversations are needed of those, too, who did not let them be read; empty for without them."""


def start_export(chosen: QuerySet[Feedback], reader: User, wanted: Wanted) -> Iterator[bytes]:
    """Write down that it is exported, then return the lines of JSON; docs/people.md describes them.

    Those whose conversations are taken along without having let them be read can see it, and the reason.
    """
    pks = list(chosen.order_by("pk").values_list("pk", flat=True).distinct())
    detail = {"rows": len(pks), "names": wanted.with_names}
    with transaction.atomic():
        if wanted.reason:
            taken = Feedback.objects.filter(pk__in=pks, shares_exchange=False).order_by("person").distinct()
            for person, name in taken.values_list("person", "person__username"):
                target = Target(kind="user", id=str(person), name=name, owner_id=person)
                audit.append("feedback.exported", reader, target, reason=wanted.reason)
        audit.append("feedback.exported", reader, None, **detail)
    return _lines(pks, wanted)


def _lines(pks: Sequence[int], wanted: Wanted) -> Iterator[bytes]:
    related = ("message__generation", "person")
    for start in range(0, len(pks), _AT_ONCE):
        rows = reviewable().select_related(*related).in_bulk(pks[start : start + _AT_ONCE])
        there = [rows[pk] for pk in pks[start : start + _AT_ONCE] if pk in rows]  # or taken back meanwhile
        read = [row for row in there if row.shares_exchange or wanted.reason]
        said = _branches({row.message_id: row.message.conversation_id for row in read})
        for row in there:
            data = _as_data(row, said.get(row.message_id), with_name=wanted.with_names)
            yield f"{json.dumps(data, ensure_ascii=False, cls=DjangoJSONEncoder)}\n".encode()


def _as_data(feedback: Feedback, said: list[dict[str, str]] | None, *, with_name: bool) -> dict[str, Any]:
    generation = feedback.message.generation
    parameters = dict(generation.parameters)
    prompt = parameters.pop("system_prompt", "")
    system = [{"role": "system", "content": prompt}] if prompt else []
    data: dict[str, Any] = {
        "id": feedback.pk,
        "created": feedback.created_at,
        "assistant": generation.assistant_name,
        "model": generation.model,
        "parameters": parameters,
        "messages": None if said is None else [*system, *said],
        "rating": Rating(feedback.value).name.lower(),
        "reasons": feedback.reasons,
        "comment": feedback.comment,
    }
    return data | {"person": feedback.person.username} if with_name else data


def _branches(answers: dict[int, UUID]) -> dict[int, list[dict[str, str]]]:
    """Return what was said up to each of these answers, itself included; one query for all."""
    if not answers:
        return {}
    # A parent has a smaller id than its child: what is newer than the newest of them is on no path.
    found = Message.objects.filter(conversation__in=set(answers.values()), pk__lte=max(answers))
    rows = {pk: rest for pk, *rest in found.values_list("pk", "parent_id", "role", "content")}
    return {answer: _path(rows, answer) for answer in answers}


def _path(rows: dict[int, list[Any]], newest: int) -> list[dict[str, str]]:
    said = []
    step: int | None = newest
    while step is not None and step in rows:
        parent, role, content = rows[step]
        said.append({"role": role, "content": content})
        step = parent
    return said[::-1]
