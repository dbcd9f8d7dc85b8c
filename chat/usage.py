"""What answers take: known from the backend, or guessed where it does not say; written down once for each run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.utils import timezone

from backends import Usage
from chat import quotas, rollups
from chat.models import Assistant, Generation, Message, Status, UsageRecord
from chat.quotas import Amounts

BYTES_PER_TOKEN = 4
"""Of UTF-8, roughly, in the vocabularies of today."""
NOT_COUNTED = {"interrupted", "deactivated"}
"""Finish reasons of answers that the site itself cut: they are given back, as failed ones are."""


def bound(generation: Generation, assistant: Assistant) -> Amounts:
    """Return the most that the answer may take: what it will be asked, and the longest answer."""
    longest = int(generation.parameters.get("max_output_tokens") or settings.CHAT_QUOTA_ANSWER_TOKENS)
    asked = expected_input(generation)
    return Amounts(asked + longest, assistant.cost(asked, longest))


def expected_input(generation: Generation) -> int:
    """Return about how many tokens the backend is sent for the answer: what the one before took, and the question."""
    chain = Message.objects.select_related("parent__parent__generation").get(pk=generation.pk)
    question = chain.parent
    before = question.parent if question else None
    told = getattr(before, "generation", None)
    past = (told.input_tokens or 0) + (told.output_tokens or 0) if told else 0
    if before and not past:
        past = tokens_in(before.content)
    system = str(generation.parameters.get("system_prompt", ""))
    return past + tokens_in(question.content if question else "") + (0 if past else tokens_in(system))


def tokens_in(text: str) -> int:
    """Return about how many tokens the text has."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def record(message: Message, used: Usage | None, cost: Decimal | None = None) -> None:
    """Write down the run that just ended, and settle what it had set aside. In the transaction that ended it.

    The message comes with its generation and assistant, and the conversation's owner. ``cost`` is that of ``used``.
    """
    rollups.add([_record(message, used, cost)])


def record_all(messages: Iterable[Message]) -> None:
    """Write down several runs that ended in one transaction, none of which the backend told the tokens of."""
    # All are counted at once: two transactions that count the same rows do so in the same order.
    rollups.add([_record(message, None) for message in messages])


def cost_of(generation: Generation, used: Usage) -> Decimal:
    """Return what this costs by the prices that held when the answer was begun."""
    if not generation.assistant or not (used.input_tokens or used.output_tokens):
        return Decimal(0)
    at = generation.started_at or generation.queued_at
    return generation.assistant.cost(used.input_tokens, used.output_tokens, at)


def _record(message: Message, used: Usage | None, cost: Decimal | None = None) -> UsageRecord:
    generation = message.generation
    is_counted = generation.status != Status.FAILED and generation.finish_reason not in NOT_COUNTED
    is_estimated = used is None and is_counted and bool(message.content)
    if is_estimated:
        written = max(0, tokens_in(message.content) - (generation.output_tokens or 0))
        used = Usage(expected_input(generation), written)
    used = used or Usage(0, 0)
    cost = cost_of(generation, used) if cost is None else cost
    stored = _store(message, used, cost, is_estimated)
    tokens = used.input_tokens + used.output_tokens
    was_taken = is_counted and (generation.started_at is not None or tokens > 0)
    quotas.settle(generation.pk, Amounts(tokens, cost) if was_taken else None)
    return stored


def _store(message: Message, used: Usage, cost: Decimal, is_estimated: bool) -> UsageRecord:
    generation, owner = message.generation, message.conversation.owner
    return UsageRecord.objects.create(
        at=generation.finished_at or timezone.now(),
        user_id=owner.pk,
        username=owner.username,
        assistant_id=generation.assistant_id,
        assistant_name=generation.assistant_name,
        backend=generation.backend,
        model=generation.model,
        generation_id=generation.pk,
        conversation_id=message.conversation_id,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        is_estimated=is_estimated,
        cost=cost,
        waited_ms=_milliseconds(generation.queued_at, generation.started_at),
        first_text_ms=_milliseconds(generation.queued_at, generation.first_delta_at),
        duration_ms=_milliseconds(generation.started_at, generation.finished_at),
        outcome=generation.status,
        finish_reason=generation.finish_reason,
        error_code=generation.error_code,
    )


def _milliseconds(start: datetime | None, end: datetime | None) -> int | None:
    """Return the time between the two; None where one is missing, or the clock was set meanwhile."""
    if start is None or end is None or end < start:
        return None
    return round((end - start).total_seconds() * 1000)
