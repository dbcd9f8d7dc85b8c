"""Answers while they are written: what backends say is gathered, stored, and only then shown.

All answers of a process share one transaction (a group commit), so that hundreds of them cost a few writes a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import get_args

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, transaction
from django.utils import timezone

from backends import Stage, StageName
from chat import events, pieces
from chat.generation import LostGenerationError, stage_event
from chat.models import Generation
from chat.storable import storable

logger = logging.getLogger(__name__)

REST = 3
"""After each commit the next one waits for at least so many times as long as that one took."""
LONGEST_PAUSE = 0.1
"""Seconds; where commits take so long that they would have to wait for longer, people should not."""
STAGE_INTERVAL = 1.0
"""Seconds between two places in a queue that are stored and told for one answer; each stage itself is told at once."""
PROGRESS_INTERVAL = 0.25
"""Seconds between two reports of how far loading is, which are told but not stored."""
FOLD_PIECES = 256
"""Pieces of one answer after which they are put in one."""
RETRY_AFTER = (0.1, 0.2, 0.5, 1.0)
"""Seconds until the database is asked again that could not be reached; then the last one, for as long as it takes."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is new of an answer since the last commit."""

    draft: Draft
    offset: int
    text: str
    stage: Stage | None = None
    """Why there is no text yet, where that is news."""

    @property
    def is_first(self) -> bool:
        """Whether this is the first text of this run."""
        return bool(self.text) and self.offset == len(self.draft.generation.message.content)

    @property
    def has_new_place(self) -> bool:
        """Whether the stage says more than how far loading is."""
        told = self.draft.told
        return self.stage is not None and (self.stage.name, self.stage.position) != (told.name, told.position)


class Draft:
    """One answer while it is written. The pieces that come in are shown once they are stored, soon.

    So it is with the stages before the first piece, of which only the newest counts.
    """

    def __init__(self, drafts: Drafts, generation: Generation) -> None:
        self.generation = generation
        self.run = [generation.worker, generation.started_at]
        """What the row says as long as the answer is this worker's, and was not ended and continued meanwhile."""
        self.told = Stage("queued")
        """The stage that readers and row know of; at first it is the one that needs no telling."""
        self.pieces = 0
        """Stored since the text was in one piece."""
        self._drafts = drafts
        self._pending: list[str] = []
        self._half = ""
        self._length = len(generation.message.content)
        self._has_text = False
        self._stage: Stage | None = None
        self._tell_at = 0.0
        self._is_closing = False
        self._is_stored = asyncio.Event()
        self._is_stored.set()
        self._error: Exception | None = None

    def append(self, text: str) -> None:
        """Take a piece of text.

        Raises:
            LostGenerationError: the answer was ended by somebody else; stop the backend.
        """
        self._check()
        if text:
            self._pending.append(text)
            self._announce(urgent=not self._has_text)
            self._has_text = True

    def show(self, stage: Stage) -> None:
        """Take why there is no text yet; of no interest once there is some.

        Raises:
            LostGenerationError: the answer was ended by somebody else; stop the backend.
        """
        self._check()
        if not self._has_text:
            self._stage = _sound(stage)
            self._announce(urgent=self._stage.name != self.told.name)

    async def close(self) -> None:
        """Store and publish what is left. Does nothing more when called again.

        Raises:
            LostGenerationError: the answer was ended by somebody else.
        """
        if not self._is_closing:
            self._is_closing = True
            self._announce(urgent=True)
        await self._is_stored.wait()
        self._check()

    def take(self, now: float) -> Change:
        """Return what is to be stored; from now on it counts as stored unless it is given back."""
        text, self._half = _without_half_pair(self._half + "".join(self._pending))
        self._pending.clear()
        if self._is_closing:
            text, self._half = text + self._half, ""
        offset, text = self._length, storable(text)
        self._length += len(text)
        return Change(self, offset, text, self._take_stage(now))

    def _take_stage(self, now: float) -> Stage | None:
        """Return the stage if it is to be told now; forget it if it never will be."""
        stage = None if self._has_text else self._stage
        if stage and stage != self.told and (stage.name != self.told.name or now >= self._tell_at):
            return stage
        if self._has_text or self._is_closing:
            self._stage = None
        return None

    def give_back(self, change: Change) -> None:
        """Take back what could not be stored."""
        self._length = change.offset
        self._pending.insert(0, change.text + self._half)
        self._half = ""

    def settle(self, change: Change, now: float, error: Exception | None = None) -> bool:
        """Take note that the change is stored, or why it never will be; False if there is more to do later."""
        self._error = self._error or error
        if change.stage:
            self.told = change.stage
            self._tell_at = now + (PROGRESS_INTERVAL if change.stage.name == "loading" else STAGE_INTERVAL)
        if self._error or (not self._pending and self._stage in {None, self.told}):
            self._is_stored.set()
            return True
        return False

    def _announce(self, *, urgent: bool) -> None:
        if self._error is None:
            self._is_stored.clear()
            self._drafts.changed(self, urgent=urgent)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error


class Drafts:
    """The answers that one worker writes on one event loop."""

    def __init__(self) -> None:
        self._changed: dict[Draft, None] = {}
        self._urgent: dict[Draft, None] = {}
        self._hurry = asyncio.Event()
        self._due = 0.0
        """When the next commit may be, but for what is urgent."""
        self._failures = 0
        self._writer: asyncio.Task[None] | None = None

    def open(self, generation: Generation) -> Draft:
        """Return the draft of an answer that this worker has claimed."""
        return Draft(self, generation)

    def changed(self, draft: Draft, *, urgent: bool) -> None:
        """Take note that the draft has something to store; at once, if it is urgent, else with the next commit."""
        self._changed[draft] = None
        if urgent:
            self._urgent[draft] = None
            self._hurry.set()
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all(), name="drafts")

    async def _write_all(self) -> None:
        """Commit for as long as there is something to store."""
        loop = asyncio.get_running_loop()
        while self._changed:
            await self._rest(self._due - loop.time())
            is_due = loop.time() >= self._due
            chosen = list(self._changed if is_due else self._urgent)
            self._urgent.clear()
            self._hurry.clear()
            began = loop.time()
            pause = await self._commit(chosen)
            if is_due or pause:
                took = loop.time() - began
                longest = max(LONGEST_PAUSE, settings.CHAT_FLUSH_INTERVAL)
                wider = min(max(settings.CHAT_FLUSH_INTERVAL, REST * took), longest)
                self._due = began + took + (pause or wider)

    async def _rest(self, seconds: float) -> None:
        """Let what comes meanwhile share the next commit, unless it is in a hurry."""
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._hurry.wait()

    async def _commit(self, chosen: Collection[Draft]) -> float:
        """Store and publish what these drafts have; return the seconds to wait where the database cannot be reached."""
        now = asyncio.get_running_loop().time()
        for draft in chosen:
            self._changed.pop(draft, None)
        changes = [draft.take(now) for draft in chosen]
        news = [change for change in changes if change.text or change.stage]
        try:
            if self._failures:  # the connection that failed may be dead
                await sync_to_async(close_old_connections)()
            lost = await sync_to_async(_store)(news) if news else set()
        except (OperationalError, InterfaceError) as error:
            return self._keep(changes, error)
        except Exception as error:
            if len(changes) > 1:
                return await self._commit_alone(changes)
            logger.exception("Generation %s cannot be stored", changes[0].draft.generation.pk)
            self._settle(changes[0], error)
            return 0.0
        self._failures = 0
        for change in changes:
            pk = change.draft.generation.pk
            self._settle(change, LostGenerationError(pk) if pk in lost else None)
        return 0.0

    def _keep(self, changes: Sequence[Change], error: Exception) -> float:
        """Keep everything for another try. Nobody has seen it yet, and nobody will before it is stored."""
        if self._failures == 0:
            logger.warning("The database cannot be written to; %s answers wait for it: %s", len(changes), error)
        for change in changes:
            change.draft.give_back(change)
            self._changed[change.draft] = None
        pause = RETRY_AFTER[min(self._failures, len(RETRY_AFTER) - 1)]
        self._failures += 1
        return pause

    async def _commit_alone(self, changes: Sequence[Change]) -> float:
        """Store each change for itself: one that cannot be stored must cost no other answer anything."""
        for change in changes:
            change.draft.give_back(change)
        return max([await self._commit([change.draft]) for change in changes])

    def _settle(self, change: Change, error: Exception | None) -> None:
        if not change.draft.settle(change, asyncio.get_running_loop().time(), error):
            self._changed[change.draft] = None


def _store(changes: Sequence[Change]) -> set[int]:
    """Store and publish the changes of all answers that are still ours; return the ids of those that are not."""
    by_pk = {change.draft.generation.pk: change for change in changes}
    with transaction.atomic():
        # Locked where the database locks rows: whoever ends an answer waits for its text, or we see that it is over.
        # All of ours in between, whether they changed or not: five hundred ids in a query take longer than their rows.
        rows = Generation.objects.run_by(changes[0].draft.generation.worker)
        rows = rows.filter(pk__gte=min(by_pk), pk__lte=max(by_pk)).order_by("pk").select_for_update(no_key=True)
        runs = {pk: run for pk, *run in rows.values_list("pk", "worker", "started_at")}
        ours = [change for pk, change in by_pk.items() if runs.get(pk) == change.draft.run]
        _store_texts([change for change in ours if change.text])
        for change in ours:
            if change.has_new_place:
                _store_stage(change)
    events.publish_all(event for change in ours for event in _events(change))
    return by_pk.keys() - {change.draft.generation.pk for change in ours}


def _store_texts(changes: Sequence[Change]) -> None:
    pieces.append((change.draft.generation.pk, change.offset, change.text) for change in changes)
    if firsts := [change.draft.generation.pk for change in changes if change.is_first]:
        Generation.objects.filter(pk__in=firsts, first_delta_at=None).update(first_delta_at=timezone.now())
    many = []
    for change in changes:
        change.draft.pieces += 1
        if change.draft.pieces >= FOLD_PIECES:
            change.draft.pieces = 0
            many.append(change.draft.generation.pk)
    if many:
        pieces.fold(many)


def _store_stage(change: Change) -> None:
    assert change.stage is not None
    ours = Generation.objects.filter(pk=change.draft.generation.pk)
    ours.update(stage=change.stage.name, stage_position=change.stage.position)


def _events(change: Change) -> Iterator[events.Message]:
    generation = change.draft.generation
    if change.stage:
        yield stage_event(generation, change.stage)
    if change.text:
        data = {"message": generation.pk, "offset": change.offset, "text": change.text}
        yield events.Message(events.conversation_channel(generation.message.conversation_id), "message.delta", data)


def _sound(stage: Stage) -> Stage:
    """Return the stage as the contract has it; a plugin that counts wrongly loses no more than its number."""
    name: StageName = stage.name if stage.name in get_args(StageName) else "queued"
    position = stage.position if name == "queued" and 0 < (stage.position or 0) < 1_000_000 else None
    known = name == "loading" and stage.progress is not None and 0 <= stage.progress <= 1
    return Stage(name, position, round(stage.progress or 0, 2) if known else None)


def _without_half_pair(text: str) -> tuple[str, str]:
    """Join the surrogate pairs of the text; return it without a first half at its end, and that half.

    Backends promise whole characters; one that cuts an emoji in two must not cost more than that emoji.
    """
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    whole = text[: len(text) - len(half)]
    return whole.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass"), half
