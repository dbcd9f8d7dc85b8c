"""The one reader in front of every backend.

A plugin may be slow, endless, wrong or broken. What ``guarded`` yields is text within the limits and then one verdict:
a ``Finish`` that the plugin vouched for, or a ``ChatBackendError``.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, fields
from typing import get_args

from backends.base import Finish, FinishReason, Stage, StreamEvent, TextDelta, Usage
from backends.exceptions import AnswerTimeout, BackendTimeout, ChatBackendError, StreamInterrupted

logger = logging.getLogger(__name__)

AHEAD = 64
"""Events that a plugin may be ahead of the reader. One that never waits lets the others on its event loop go on
whenever it has sent so many."""

CLOSE_SECONDS = 2.0
"""Seconds that a plugin is given to close, which it promised to do within one; then it is left to itself."""

MOST_TOKENS = 2**31 - 1
"""What a column of the database holds."""

_REASONS = get_args(FinishReason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long an answer may take and be. Seconds count while the backend is waited for, not while we are slow."""

    first_text_seconds: float = 60
    """To the first text, or from a stage such as ``reading`` to it."""
    waiting_seconds: float = 600
    """From one word about a queue or about loading to the next: who waits was told why."""
    idle_seconds: float = 30
    """From one text to the next."""
    total_seconds: float = 1800
    """For all of it, waiting included."""
    delta_characters: int = 100_000
    """In one delta; more is no answer, and fails."""
    characters: int = 400_000
    """In all; a longer answer is cut there and ends with ``length``."""

    def __post_init__(self) -> None:
        for name, wrong in wrong_limits({field.name: getattr(self, field.name) for field in fields(self)}).items():
            raise ValueError(f"{name} {wrong}")


LIMIT_NAMES = tuple(field.name for field in fields(Limits))


def wrong_limits(limits: dict[str, object]) -> dict[str, str]:
    """Return what is wrong with these values, by name."""
    wrong = {}
    for name, value in limits.items():
        is_count = name.endswith("characters")
        if isinstance(value, bool) or not isinstance(value, int if is_count else int | float) or not 0 < value < 1e9:
            wrong[name] = f"is not a {'whole number' if is_count else 'number'} above 0"
    return wrong


async def guarded(stream: AsyncGenerator[StreamEvent], limits: Limits) -> AsyncGenerator[StreamEvent]:
    """Yield what the backend sends, as far as it keeps to the contract and the limits, then one ``Finish``.

    The plugin is closed afterwards, and when this generator is; neither takes longer than ``CLOSE_SECONDS``.

    Raises:
        ChatBackendError: there was no ``Finish`` that the plugin vouched for; all text that came before is yielded.
    """
    reading = _Reading(stream, limits)
    events = reading.events
    try:
        while True:
            while events:
                yield events.popleft()
            if reading.is_over:
                break
            await reading.more()
        if reading.error:
            raise reading.error
    finally:
        await reading.close()


class _Clock:
    """Calls ``expire`` with the name of the limit when one is reached.

    One timer follows a deadline that moves: hearing of the backend costs no more than reading the time.
    """

    def __init__(self, limits: Limits, expire: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._expire = expire
        self._timer: asyncio.TimerHandle | None = None
        self.now = self._loop.time
        self.is_paused = False
        """Whether the reader is waited for, and not the backend."""
        self._end = self.now() + limits.total_seconds
        self.allow("first_text_seconds")

    def allow(self, limit: str) -> None:
        """Let silence last as long as this limit says, from now on."""
        self.heard_at = self.now()
        self._limit = limit
        self._seconds: float = getattr(self._limits, limit)
        self.stop()
        self._set()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _set(self) -> None:
        self._timer = self._loop.call_at(min(self.heard_at + self._seconds, self._end), self._ring)

    def _ring(self) -> None:
        now = self.now()
        if self.is_paused:
            self.heard_at = now
        if now >= self._end:
            self._expire("total_seconds")
        elif now >= self.heard_at + self._seconds:
            self._expire(self._limit)
        else:
            self._set()


class _Reading:
    """One answer while it is read, by a task of its own.

    So a plugin starts, runs and closes in one task, as cancel scopes need it, and one that does not let go can be left.
    """

    def __init__(self, stream: AsyncGenerator[StreamEvent], limits: Limits) -> None:
        self.events: deque[StreamEvent] = deque()
        """What came and was not taken yet."""
        self.error: ChatBackendError | None = None
        self.is_over = False
        """Whether there is a verdict: the ``Finish`` is the last of the events, or ``error`` is set."""
        self._stream = stream
        self._limits = limits
        self._left = limits.characters
        self._has_text = False
        self._is_closing = False
        self._loop = asyncio.get_running_loop()
        self._more: asyncio.Future[None] | None = None
        """What the reader waits for."""
        self._taken: asyncio.Future[None] | None = None
        """What the plugin waits for."""
        self._clock = _Clock(limits, self._expire)
        self._task = self._loop.create_task(self._run())
        _tasks.add(self._task)
        self._task.add_done_callback(self._on_done)

    async def more(self) -> None:
        """Return when there are events or a verdict. Call it when all events are taken."""
        if self._taken is not None and not self._taken.done():
            self._taken.set_result(None)
        self._more = self._loop.create_future()
        await self._more

    async def close(self) -> None:
        """Close the plugin and wait for it, but not for ever."""
        self._clock.stop()
        self.is_over = True  # also where the reader leaves early: nothing more is taken in
        if self._task.done():
            return
        if not self._is_closing:
            self._task.cancel()
        try:
            _, late = await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
            if late:
                logger.error("A backend did not close within %s s; it is left to itself", CLOSE_SECONDS)
        finally:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            async with aclosing(self._stream):
                try:
                    await self._read()
                finally:
                    self._is_closing = True
        except ChatBackendError as error:
            self._end(error)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and its answer alone fails
            self._end(_defect(error))

    async def _read(self) -> None:
        seen = 0
        async for event in self._stream:
            if self.is_over:  # it was cancelled, and goes on all the same
                return
            is_last = self._take_text(event) if isinstance(event, TextDelta) else self._take(event)
            if is_last:
                return
            seen += 1
            if seen == AHEAD:
                seen = 0
                await self._wait_for_reader()
        self._end(StreamInterrupted("The stream ended without a finish reason."))

    def _take_text(self, event: TextDelta) -> bool:
        """Give the text to the reader; return whether it was the last that may be given."""
        size = len(event.text) if isinstance(event.text, str) else -1
        if size == 0:
            return False
        if size < 0 or size > self._limits.delta_characters:
            raise _unusable(event.text)
        if size > self._left:
            if self._left:
                self._give(TextDelta(event.text[: self._left]))
            logger.warning("An answer reached %s characters and was ended", self._limits.characters)
            return self._finish(Finish("length"))
        self._left -= size
        if self._has_text:
            self._clock.heard_at = self._clock.now()
        else:
            self._has_text = True
            self._clock.allow("idle_seconds")
        self._give(event)
        return False

    def _take(self, event: StreamEvent) -> bool:
        """Give an event that is no text to the reader; return whether it was the last."""
        if isinstance(event, Finish):
            if event.reason not in _REASONS:
                raise StreamInterrupted("The backend ended the answer for a reason that is not in the contract.")
            return self._finish(Finish(event.reason, _sound(event.usage)))
        if not isinstance(event, StreamEvent):
            raise _violation(f"an event of the type {type(event).__name__}")
        if isinstance(event, Stage) and not self._has_text:
            is_waiting = event.name in ("queued", "loading")
            self._clock.allow("waiting_seconds" if is_waiting else "first_text_seconds")
        self._give(event)
        return False

    def _give(self, event: StreamEvent) -> None:
        self.events.append(event)
        if self._more is not None:
            self._wake()

    def _finish(self, finish: Finish) -> bool:
        self._give(finish)
        self._end(None)
        return True

    def _end(self, error: ChatBackendError | None) -> None:
        """Set the verdict; the first one stands."""
        if not self.is_over:
            self.is_over, self.error = True, error
            self._clock.stop()
            self._wake()

    def _wake(self) -> None:
        waiting, self._more = self._more, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def _wait_for_reader(self) -> None:
        if not self.events:
            await asyncio.sleep(0)
            return
        self._taken = self._loop.create_future()
        self._clock.is_paused = True
        await self._taken
        self._clock.is_paused = False
        self._clock.heard_at = self._clock.now()

    def _expire(self, limit: str) -> None:
        seconds = getattr(self._limits, limit)
        said = "The answer was not over" if limit == "total_seconds" else "The backend sent no text"
        kind = AnswerTimeout if self._has_text else BackendTimeout
        hint = f"If this model needs longer, raise {limit} in the LIMITS of its backend."
        self._end(kind(f"{said} for {seconds:g} s.", hint=hint))

    def _on_done(self, task: asyncio.Task[None]) -> None:
        _tasks.discard(task)
        if not task.cancelled():
            task.exception()  # else asyncio complains that nobody asked
        self._end(StreamInterrupted("The backend gave up without saying why."))


_tasks: set[asyncio.Task[None]] = set()
"""Keeps tasks alive that nobody waits for any more: asyncio only has weak references."""


def _sound(usage: object) -> Usage | None:
    """Return the counts where they are counts; an answer is not lost over a wrong one."""
    if not isinstance(usage, Usage):
        return None
    counts = (usage.input_tokens, usage.output_tokens)
    return usage if all(isinstance(count, int) and 0 <= count <= MOST_TOKENS for count in counts) else None


def _unusable(text: object) -> ChatBackendError:
    if isinstance(text, str):
        hint = "If that is how this model answers, raise delta_characters in the LIMITS of its backend."
        return StreamInterrupted(f"The backend sent a delta of {len(text)} characters.", hint=hint)
    return _violation(f"text of the type {type(text).__name__}")


def _violation(what: str) -> ChatBackendError:
    return ChatBackendError(f"The backend sent {what}.", hint="Its code breaks the contract; test it with the suite.")


def _defect(error: Exception) -> ChatBackendError:
    """Log what is no error of the contract, and return one that is.

    Without its message, and not chained: that of a JSON or a key error quotes the answer, or the prompt.
    """
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("A backend raised %s:\n%s", type(error).__name__, where)
    return ChatBackendError(f"The backend raised {type(error).__name__}.", hint="The log says where.")
