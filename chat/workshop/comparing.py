"""A rehearsal while it runs and afterwards: what is told of it, who stops it, what administrators think of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Avg, Count, Q, Sum

from chat.models import (
    Choice,
    Rehearsal,
    RehearsalVote,
    RehearsedAnswer,
    RehearsedQuestion,
    Side,
    Status,
    User,
)

_AGAIN = Q(status__in=(Status.FAILED, Status.CANCELLED)) | Q(status=Status.INCOMPLETE, finish_reason="interrupted")
"""What did not become an answer, and may the next time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideTotals:
    """What the answers of one side took."""

    answers: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)
    first_text_ms: float | None = None
    duration_ms: float | None = None
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A rehearsal in numbers."""

    questions: int
    to_come: int
    written: int
    """Answers that were to be written and came to some end."""
    again: int
    """Of them, those that did not become an answer."""
    old: SideTotals
    new: SideTotals
    votes: dict[str, int]

    @property
    def percent(self) -> int:
        """How much of the writing is done."""
        everything = self.to_come + self.written
        return 100 * self.written // everything if everything else 100


def totals(rehearsal: Rehearsal) -> Totals:
    """Return the rehearsal in numbers; three queries."""
    questions = RehearsedQuestion.objects.kept().filter(rehearsal=rehearsal)
    answers = RehearsedAnswer.objects.filter(question__in=questions)
    is_answer = Q(status__in=(Status.COMPLETED, Status.INCOMPLETE))
    ours = Q(copied_from=None) & ~Q(backend="")
    rows = answers.values("side").order_by("side").annotate(
        answers=Count("pk", filter=is_answer),
        input_tokens=Sum("input_tokens"),
        output_tokens=Sum("output_tokens"),
        total_cost=Sum("cost"),
        first_text_ms=Avg("first_text_ms", filter=is_answer),
        duration_ms=Avg("duration_ms", filter=is_answer),
        failed=Count("pk", filter=Q(status=Status.FAILED)),
        to_come=Count("pk", filter=Q(status__in=(Status.QUEUED, Status.IN_PROGRESS))),
        written=Count("pk", filter=ours & ~Q(status__in=(Status.QUEUED, Status.IN_PROGRESS))),
        again=Count("pk", filter=ours & _AGAIN),
    )  # fmt: skip
    by_side: dict[str, Any] = {row["side"]: row for row in rows}
    votes = RehearsalVote.objects.filter(question__in=questions).values_list("choice").annotate(Count("pk"))
    return Totals(
        questions=questions.count(),
        to_come=sum(row["to_come"] for row in by_side.values()),
        written=sum(row["written"] for row in by_side.values()),
        again=sum(row["again"] for row in by_side.values()),
        old=_side(by_side.get(Side.OLD)),
        new=_side(by_side.get(Side.NEW)),
        votes=dict.fromkeys(Choice.values, 0) | dict(votes.order_by("choice")),
    )


def _side(row: Mapping[str, Any] | None) -> SideTotals:
    if row is None:
        return SideTotals()
    return SideTotals(
        answers=row["answers"],
        input_tokens=row["input_tokens"] or 0,
        output_tokens=row["output_tokens"] or 0,
        cost=row["total_cost"] or Decimal(0),
        first_text_ms=row["first_text_ms"],
        duration_ms=row["duration_ms"],
        failed=row["failed"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A question with both answers, and what was voted."""

    question: RehearsedQuestion
    old: RehearsedAnswer | None
    new: RehearsedAnswer | None
    own_vote: str
    votes: dict[str, int]


def rows(questions: Iterable[RehearsedQuestion], person: User) -> list[Row]:
    """Return the questions with their answers and votes; two queries, however many."""
    chosen = list(questions)
    answers: dict[tuple[int, str], RehearsedAnswer] = {}
    for answer in RehearsedAnswer.objects.filter(question__in=chosen):
        answers[answer.question_id, answer.side] = answer
    own: dict[int, str] = {}
    counts: dict[int, dict[str, int]] = {}
    for question, who, choice in RehearsalVote.objects.filter(question__in=chosen).values_list(
        "question", "person", "choice"
    ):
        counted = counts.setdefault(question, dict.fromkeys(Choice.values, 0))
        counted[choice] += 1
        if who == person.pk:
            own[question] = choice
    return [
        Row(
            question=question,
            old=answers.get((question.pk, Side.OLD)),
            new=answers.get((question.pk, Side.NEW)),
            own_vote=own.get(question.pk, ""),
            votes=counts.get(question.pk, {}),
        )
        for question in chosen
    ]


def vote(question: RehearsedQuestion, person: User, choice: str) -> None:
    """Let the person find this side better, whatever they thought before; an empty choice takes the vote back."""
    if choice:
        RehearsalVote.objects.update_or_create(question=question, person=person, defaults={"choice": choice})
    else:
        RehearsalVote.objects.filter(question=question, person=person).delete()


def cancel(rehearsal: Rehearsal) -> int:
    """End what is still to come; return how many answers that were. Whoever writes one sees it at the next look."""
    left = RehearsedAnswer.objects.unfinished().filter(question__rehearsal=rehearsal)
    return left.update(status=Status.CANCELLED, slot=None)


def run_again(rehearsal: Rehearsal) -> int:
    """Queue once more what failed, or was cancelled or interrupted; return how many answers that are."""
    fresh: dict[str, Any] = {
        "status": Status.QUEUED,
        "content": "",
        "finish_reason": "",
        "error_code": "",
        "error_detail": "",
        "input_tokens": None,
        "output_tokens": None,
        "cost": Decimal(0),
        "first_text_ms": None,
        "duration_ms": None,
        "started_at": None,
        "heartbeat_at": None,
        "worker": "",
        "slot": None,
        "runs": 0,
    }
    ours = RehearsedAnswer.objects.filter(_AGAIN, question__rehearsal=rehearsal, copied_from=None).exclude(backend="")
    # By their ids: an update of what a join finds is a subquery, and another worker may be at the rows meanwhile.
    with transaction.atomic():
        pks = list(ours.values_list("pk", flat=True))
        return RehearsedAnswer.objects.filter(_AGAIN, pk__in=pks).update(**fresh)


def latest(rehearsals: Iterable[Rehearsal]) -> dict[int, int]:
    """Return how many answers of each are still to come; one query."""
    left = RehearsedAnswer.objects.unfinished().filter(question__rehearsal__in=list(rehearsals))
    return dict(left.values_list("question__rehearsal").annotate(Count("pk")).order_by())
