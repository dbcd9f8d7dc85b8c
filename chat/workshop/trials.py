"""One run of a backend outside of any conversation: bounded, under the quotas of who asked, counted as their usage."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from backends import ChatMessage, Finish, StreamEvent, TextDelta, Usage, chat_backends
from backends.exceptions import ChatBackendError, StreamInterrupted
from chat import quotas, rollups
from chat.models import Assistant, Purpose, Status, Trial, UsageRecord, User
from chat.operation import draining
from chat.quotas import Amounts
from chat.refusals import TooManyUnfinishedError
from chat.usage import tokens_in
from chat.workshop.settings import cost, request_of

logger = logging.getLogger(__name__)

AT_ONCE = 3
"""Try-outs of one person at the same time."""
GRACE = timedelta(seconds=30)
"""After its time a run is over, or its process died."""
NOWHERE = uuid.UUID(int=0)
"""The conversation of what was said in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What somebody wants to hear from an assistant, stored or not, and how much of it at most."""

    person: User
    assistant: Assistant
    said: Sequence[ChatMessage]
    purpose: Purpose
    tokens: int
    seconds: float

    @property
    def expected_input(self) -> int:
        """About how many tokens the backend is sent."""
        return tokens_in(self.assistant.system_prompt) + sum(tokens_in(message.content) for message in self.said)


@dataclass(slots=True)
class Run:
    """How a run goes, and how it went."""

    pieces: list[str] = field(default_factory=list)
    status: Status = Status.IN_PROGRESS
    finish_reason: str = ""
    error_code: str = ""
    error_detail: str = ""
    used: Usage | None = None
    is_estimated: bool = False
    first_text_ms: int | None = None
    duration_ms: int | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def is_counted(self) -> bool:
        """Whether it is anybody's use: what failed, or the site cut, is not."""
        return self.status not in {Status.FAILED, Status.IN_PROGRESS} and self.finish_reason != "interrupted"


def begin(ask: Ask) -> Trial:
    """Set aside what the run may take; it is to be ended by ``end``.

    Raises:
        QuotaExceededError: nothing is left of what the person may use.
        DrainedError: the backend takes no new answers.
        TooManyUnfinishedError: the person tries out as much as anybody may at once.
    """
    person, assistant = ask.person, ask.assistant
    with transaction.atomic():
        list(User.objects.select_for_update(no_key=True).filter(pk=person.pk).values_list("pk"))
        draining.check_open(assistant.backend)
        now = timezone.now()
        going_on = Trial.objects.filter(person=person, purpose=Purpose.TRIAL, expires_at__gt=now)
        if ask.purpose == Purpose.TRIAL and going_on.count() >= AT_ONCE:
            raise TooManyUnfinishedError
        expires_at = now + timedelta(seconds=ask.seconds) + GRACE
        trial = Trial.objects.create(
            person=person, purpose=ask.purpose, backend=assistant.backend, began_at=now, expires_at=expires_at
        )
        quotas.reserve(-trial.pk, person, assistant if assistant.pk else None, lambda: _most(ask))
    return trial


def _most(ask: Ask) -> Amounts:
    return Amounts(ask.expected_input + ask.tokens, cost(ask.assistant, ask.expected_input, ask.tokens))


async def stream(ask: Ask, run: Run) -> AsyncGenerator[StreamEvent]:
    """Yield what the backend says until it is over; ``run`` knows then how it went. A backend's failure is no error.

    Who stops reading early finds it cancelled.
    """
    request = request_of(ask.assistant, ask.said, ask.tokens, _opaque_name(ask.person))
    began = time.monotonic()
    try:
        source = chat_backends.stream(ask.assistant.backend, request, seconds=ask.seconds)
        async with aclosing(source) as events:
            async for event in events:
                _take(run, event, began)
                yield event
        if run.status == Status.IN_PROGRESS:
            raise StreamInterrupted("The stream ended without a finish reason.")
    except ChatBackendError as error:
        run.status, run.error_code = Status.FAILED, error.code
        run.error_detail = " ".join(filter(None, [str(error), error.hint]))
    except (GeneratorExit, asyncio.CancelledError):
        if run.status == Status.IN_PROGRESS:
            run.status = Status.CANCELLED
        raise
    finally:
        run.duration_ms = _since(began)
        if run.used is None and run.is_counted and run.pieces:
            run.used, run.is_estimated = Usage(ask.expected_input, tokens_in(run.text)), True


def _take(run: Run, event: StreamEvent, began: float) -> None:
    if isinstance(event, TextDelta):
        if run.first_text_ms is None:
            run.first_text_ms = _since(began)
        run.pieces.append(event.text)
    elif isinstance(event, Finish):
        run.status = Status.COMPLETED if event.reason == "stop" else Status.INCOMPLETE
        run.finish_reason, run.used = event.reason, event.usage


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _opaque_name(person: User) -> str:
    """Return another name than in conversations: the person's own chat does not wait behind a rehearsal."""
    return salted_hmac("chat.workshop.user", str(person.pk), algorithm="sha256").hexdigest()[:16]


def cost_of(ask: Ask, run: Run) -> Decimal:
    """Return what the run cost at the prices that the assistant has, or would have."""
    return cost(ask.assistant, run.used.input_tokens, run.used.output_tokens) if run.used else Decimal(0)


def end(trial: Trial, ask: Ask, run: Run) -> None:
    """Write down what the run took, and count it instead of what was set aside."""
    used = (run.used if run.is_counted else None) or Usage(0, 0)
    paid = cost_of(ask, run) if run.is_counted else Decimal(0)
    with transaction.atomic():
        record = UsageRecord.objects.create(
            user_id=ask.person.pk,
            username=ask.person.username,
            assistant_id=ask.assistant.pk,
            assistant_name=ask.assistant.name[:80],
            backend=ask.assistant.backend,
            model=ask.assistant.model,
            purpose=ask.purpose,
            generation_id=-trial.pk,
            conversation_id=NOWHERE,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            is_estimated=run.is_estimated,
            cost=paid,
            waited_ms=0,
            first_text_ms=run.first_text_ms,
            duration_ms=run.duration_ms,
            outcome=Status.CANCELLED if run.status == Status.IN_PROGRESS else run.status,
            finish_reason=run.finish_reason,
            error_code=run.error_code,
        )
        rollups.add([record])
        taken = Amounts(used.input_tokens + used.output_tokens, paid)
        quotas.settle(-trial.pk, taken if run.is_counted else None)
        Trial.objects.filter(pk=trial.pk).delete()


async def end_whatever_happens(trial: Trial, ask: Ask, run: Run) -> None:
    """Do the same from an event loop, to the end also where the caller is cancelled meanwhile."""

    def end_in_a_thread() -> None:
        try:
            end(trial, ask, run)
        finally:
            connections.close_all()  # those of this thread, which nobody else will close

    await asyncio.shield(asyncio.ensure_future(sync_to_async(end_in_a_thread, thread_sensitive=False)()))


def forget_dead() -> None:
    """Delete the trials of processes that died. What they had set aside was given back when their time was over."""
    dead = Trial.objects.filter(expires_at__lt=timezone.now() - GRACE)
    if dead.exists():  # a delete would wait for who writes, every second
        dead.delete()
