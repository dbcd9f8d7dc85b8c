"""What a rehearsal asks: questions of saved conversations, or typed ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from chat import audit
from chat.audit import Target
from chat.models import (
    AssistantVersion,
    Conversation,
    Generation,
    Message,
    Rehearsal,
    RehearsedAnswer,
    RehearsedQuestion,
    Role,
    Side,
    Status,
    User,
)
from chat.querysets import ConversationQuerySet
from chat.storable import storable

MOST_QUESTIONS = 200
"""Of one rehearsal."""
MOST_CONVERSATIONS = 100
_COPIED = ("status", "finish_reason", "error_code", "backend", "model", "input_tokens", "output_tokens", "cost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A question, with the answer that there is, if there is one."""

    messages: tuple[dict[str, str], ...] = ()
    """What was typed, the question last."""
    message: Message | None = None
    """The question in its conversation."""
    answer: Message | None = None
    """Its answer there, with its generation."""
    known: str | None = None
    """An answer that was given along with a typed question."""


def readable(person: User) -> ConversationQuerySet:
    """Return the conversations that this person may take questions from: their own, all with the permission."""
    everybody = person.has_perm("chat.view_others_conversations")
    return Conversation.objects.kept() if everybody else Conversation.objects.owned_by(person)


def of_others(chosen: Iterable[Chosen], person: User) -> bool:
    """Tell whether some of the questions are of other people's conversations."""
    return any(one.message and one.message.conversation.owner_id != person.pk for one in chosen)


def of_conversations(conversations: Iterable[Conversation], *, every: bool) -> list[Chosen]:
    """Return the last question of the shown branch of each, or ``every`` one, with its answer; three queries."""
    leaves = {conversation.pk: conversation.leaf_id for conversation in conversations}
    trees: dict[Any, dict[int, tuple[int | None, str]]] = {pk: {} for pk in leaves}
    rows = Message.objects.filter(conversation__in=leaves).values_list("conversation", "pk", "parent", "role")
    for conversation, pk, parent, role in rows:
        trees[conversation][pk] = (parent, role)
    pairs: list[tuple[int, int | None]] = []
    for conversation, leaf in leaves.items():
        found = list(_pairs(trees[conversation], leaf))
        pairs += found if every else found[-1:]
    pairs = pairs[:MOST_QUESTIONS]
    wanted = [pk for pair in pairs for pk in pair if pk]
    messages = Message.objects.select_related("generation", "conversation").in_bulk(wanted)
    return [
        Chosen(message=messages[question], answer=messages.get(answer or 0))
        for question, answer in pairs
        if question in messages
    ]


def _pairs(tree: dict[int, tuple[int | None, str]], leaf: int | None) -> Iterator[tuple[int, int | None]]:
    """Yield the questions of a branch with their answers, oldest first."""
    path: list[int] = []
    while leaf is not None and leaf in tree:
        path.append(leaf)
        leaf = tree[leaf][0]
    path.reverse()
    for pk, after in zip_longest(path, path[1:]):
        if tree[pk][1] == Role.USER:
            yield pk, after if after and tree[after][1] == Role.ASSISTANT else None


def of_text(text: str) -> list[Chosen]:
    """Return the questions in a text: one a line, or JSON Lines with ``prompt`` or ``messages``, and maybe ``answer``.

    Raises:
        ValidationError: a line cannot be read, or there are too many; says which.
    """
    lines = [(number, line.strip()) for number, line in enumerate(storable(text).splitlines(), 1) if line.strip()]
    if len(lines) > MOST_QUESTIONS:
        raise ValidationError(
            _("%(number)s questions; %(limit)s are the most.") % {"number": len(lines), "limit": MOST_QUESTIONS}
        )
    if lines and all(line.startswith("{") for _number, line in lines):
        return [_from_json(number, line) for number, line in lines]
    return [Chosen(messages=({"role": "user", "content": line},)) for _number, line in lines]


def _from_json(number: int, line: str) -> Chosen:
    try:
        told = json.loads(line)
        messages = told.get("messages") or [{"role": "user", "content": told["prompt"]}]
        said = tuple({"role": str(one["role"]), "content": storable(str(one["content"]))} for one in messages)
        answer = told.get("answer")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        hint = _("Line %d is no JSON object with “prompt” or “messages”.") % number
        raise ValidationError(hint) from None
    if said[-1]["role"] != "user" or any(one["role"] not in Role.values or not one["content"] for one in said):
        raise ValidationError(_("Line %d: the last message must be the user's, and none may be empty.") % number)
    return Chosen(messages=said, known=None if answer is None else storable(str(answer)))


def start(rehearsal: Rehearsal, chosen: Sequence[Chosen], reason: str = "") -> None:
    """Store the questions, and queue the answers that there are none of yet.

    A typed question is asked of the assistant as it was, too, where there is one: else there is nothing to compare.
    That questions of other people's conversations were taken, and why, is told to the audit log, and so to them.
    """
    with transaction.atomic():
        questions = RehearsedQuestion.objects.bulk_create(
            RehearsedQuestion(
                rehearsal=rehearsal,
                number=number,
                conversation_id=one.message.conversation_id if one.message else None,
                message=one.message,
                messages=list(one.messages),
            )
            for number, one in enumerate(chosen, 1)
        )
        base = base_of(rehearsal)
        answers: list[RehearsedAnswer] = []
        for question, one in zip(questions, chosen, strict=True):
            answers += [answer for answer in (_old(question, one, base), _new(question, rehearsal)) if answer]
        RehearsedAnswer.objects.bulk_create(answers)
        _tell(rehearsal, chosen, reason)


def base_of(rehearsal: Rehearsal) -> dict[str, Any] | None:
    """Return what the assistant was when the rehearsal was made; None where it is of none."""
    if rehearsal.base_version is None:
        return None
    versions = AssistantVersion.objects.filter(number=rehearsal.base_version, assistant_id=rehearsal.assistant_id or 0)
    found = versions.first()
    return found.values if found else None


def _old(question: RehearsedQuestion, one: Chosen, base: dict[str, Any] | None) -> RehearsedAnswer | None:
    answer = RehearsedAnswer(question=question, side=Side.OLD)
    if one.answer is not None:
        answer.copied_from, answer.content = one.answer, one.answer.content
        answer.status = Status.COMPLETED
        generation: Generation | None = getattr(one.answer, "generation", None)
        if generation:
            for name in _COPIED:
                setattr(answer, name, getattr(generation, name))
            answer.first_text_ms = _milliseconds(generation.seconds_to_text)
            answer.duration_ms = _milliseconds(generation.seconds)
            if answer.is_running:
                return None  # it is still being written
    elif one.known is not None:
        answer.content, answer.status = one.known, Status.COMPLETED
    elif base and not one.message:
        answer.backend, answer.model = base["backend"], base["model"]
    else:
        return None
    return answer


def _new(question: RehearsedQuestion, rehearsal: Rehearsal) -> RehearsedAnswer:
    settings = rehearsal.candidate
    return RehearsedAnswer(question=question, side=Side.NEW, backend=settings["backend"], model=settings["model"])


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _tell(rehearsal: Rehearsal, chosen: Sequence[Chosen], reason: str) -> None:
    taken = {one.message.conversation_id: one.message.conversation for one in chosen if one.message}
    tell_owners(rehearsal, rehearsal.owner, taken.values(), reason)


def tell_owners(rehearsal: Rehearsal, reader: User, conversations: Iterable[Conversation], reason: str) -> None:
    """Write down who reads which conversations of other people in the rehearsal, and why, once for each of them."""
    for conversation in conversations:
        if conversation.owner_id != reader.pk:
            target = Target(kind="conversation", id=str(conversation.pk), owner_id=conversation.owner_id)
            audit.append("transcript.rehearsed", reader, target, rehearsal=rehearsal.pk, reason=reason)
