"""The answers of rehearsals, written in the background: claimed, bounded for each backend, taken again after a crash.

People's own answers go first: while any of them waits, or a process is half full of them, rehearsals wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from datetime import datetime
from functools import partial

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from backends import ChatMessage
from chat import history
from chat.models import (
    Assistant,
    Purpose,
    RehearsedAnswer,
    Role,
    Side,
    Status,
    Trial,
)
from chat.refusals import DrainedError, QuotaExceededError
from chat.workshop import trials
from chat.workshop.choosing import base_of
from chat.workshop.claiming import claim, hand_over, put_back, store
from chat.workshop.settings import made_of
from chat.workshop.trials import Ask, Run

logger = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two looks for work, and for who died."""


def ask_of(answer: RehearsedAnswer) -> Ask | None:
    """Return what the backend is to be asked; None where its conversation was deleted meanwhile."""
    question = answer.question
    said = [ChatMessage(one["role"], one["content"]) for one in question.messages]
    if question.message_id:
        conversation = question.conversation
        if conversation is None or conversation.deleted_at:
            return None
        path = history.path(conversation, question.message_id, settings.CHAT_HISTORY_MESSAGES)
        said = [ChatMessage("user" if one.role == Role.USER else "assistant", one.content) for one in path]
        said = [message for message in said if message.content]
    if not said:
        return None
    assistant = _assistant(answer)
    tokens = min(assistant.max_output_tokens or settings.CHAT_QUOTA_ANSWER_TOKENS, settings.CHAT_QUOTA_ANSWER_TOKENS)
    return Ask(
        person=question.rehearsal.owner,
        assistant=assistant,
        said=said,
        purpose=Purpose.REHEARSAL,
        tokens=tokens,
        seconds=settings.CHAT_TRIAL_SECONDS,
    )


def _assistant(answer: RehearsedAnswer) -> Assistant:
    """Return who answers: the new settings or the old ones, counted as use of the assistant that they are for."""
    rehearsal = answer.question.rehearsal
    values = rehearsal.candidate if answer.side == Side.NEW else base_of(rehearsal) or rehearsal.candidate
    assistant = made_of(values, rehearsal.assistant_name or rehearsal.candidate_name)
    assistant.pk = rehearsal.assistant_id
    return assistant


async def write(answer: RehearsedAnswer) -> None:
    """Let the backend write the claimed answer to its end, and store it."""
    try:
        ask = await sync_to_async(_prepared)(answer)
        if ask is None:
            return
        trial = await sync_to_async(trials.begin)(ask)
    except DrainedError:
        await sync_to_async(put_back)([answer.pk], worker=answer.worker)
        return
    except QuotaExceededError:
        refused = Run(status=Status.FAILED, error_code="quota_exceeded")
        await sync_to_async(store)(answer, refused, 0)
        return
    await _write(answer, ask, trial)


def _prepared(answer: RehearsedAnswer) -> Ask | None:
    close_old_connections()
    related = ("question__rehearsal__owner", "question__conversation")
    found = RehearsedAnswer.objects.select_related(*related).filter(pk=answer.pk).first()
    ask = ask_of(found) if found else None
    if ask is None:
        gone = Run(status=Status.CANCELLED)
        store(answer, gone, 0)
    return ask


async def _write(answer: RehearsedAnswer, ask: Ask, trial: Trial) -> None:
    run = Run()
    try:
        async with aclosing(trials.stream(ask, run)) as events:
            async for _event in events:
                pass
    except Exception as error:
        # A plugin may raise anything; its answer fails, nobody else's.
        logger.exception("Rehearsed answer %s failed", answer.pk)
        run.status, run.error_code, run.error_detail = Status.FAILED, "internal_error", type(error).__name__
    finally:
        await trials.end_whatever_happens(trial, ask, run)
    await sync_to_async(store)(answer, run, trials.cost_of(ask, run))


class Rehearsing:
    """The part of a worker that writes what rehearsals ask for."""

    def __init__(self) -> None:
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._looked_at = 0.0
        self._seen: dict[int, tuple[datetime | None, float]] = {}
        """The newest sign of life of each answer, and when we saw it first, by our own clock."""

    async def look(self, worker: str, room: int) -> None:
        """Take work for which there is room, stop what was cancelled, free what belonged to the dead."""
        now = time.monotonic()
        if now - self._looked_at < INTERVAL:
            return
        self._looked_at = now
        running = set(self._tasks)
        ours = await sync_to_async(self._look_at_rows)(worker, running)
        for pk in running - ours:
            if task := self._tasks.get(pk):
                task.cancel()
        for answer in await sync_to_async(claim)(worker, room - len(self._tasks)):
            task = asyncio.create_task(write(answer), name=f"rehearsed-{answer.pk}")
            self._tasks[answer.pk] = task
            task.add_done_callback(partial(self._forget, answer.pk))

    async def stop(self, worker: str) -> None:
        """Stop writing; what was not done waits for the next worker."""
        tasks = list(self._tasks.values())
        pks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=3)
            await sync_to_async(hand_over)(pks, worker)

    def _look_at_rows(self, worker: str, running: set[int]) -> set[int]:
        ours = RehearsedAnswer.objects.run_by(worker).filter(pk__in=running)
        if running:
            ours.update(heartbeat_at=timezone.now())
        if dead := self._dead(set(running)):
            logger.warning("%s rehearsed answers of a process that died wait again", put_back(dead))
        trials.forget_dead()
        # Those that are ours alone: a conversation that was deleted meanwhile is not read any further.
        return set(ours.filter(question__conversation__deleted_at=None).values_list("pk", flat=True))

    def _dead(self, running: set[int]) -> list[int]:
        now = time.monotonic()
        signs = dict(RehearsedAnswer.objects.running().values_list("pk", "heartbeat_at"))
        seen = self._seen
        self._seen = {
            pk: seen[pk] if pk in seen and seen[pk][0] == sign else (sign, now)
            for pk, sign in signs.items()
            if pk not in running
        }
        patience = 3 * max(settings.CHAT_HEARTBEAT_INTERVAL, INTERVAL)
        return [pk for pk, (_sign, since) in self._seen.items() if now - since >= patience]

    def _forget(self, pk: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop(pk, None)
        self._looked_at = 0.0  # there is room now
        if not task.cancelled() and (error := task.exception()):
            # Its row gives no sign of life any more, and is put back.
            logger.error("Rehearsed answer %s could not be ended", pk, exc_info=error)
