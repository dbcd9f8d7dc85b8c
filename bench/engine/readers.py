"""Readers of streams on one event loop, and a clock that notices when the loop is late."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from backends.base import ChatRequest, Finish, StreamEvent, TextDelta

TICK = 0.005


class Streams(Protocol):
    """The part of the backends' contract that is measured."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]: ...

    async def aclose(self) -> None: ...


@dataclass(slots=True)
class Reading:
    """One answer, as its reader saw it."""

    begun: float
    stamps: list[float] = field(default_factory=list)
    """When each piece with something to see in it came."""
    ended: float = 0.0
    tokens: int = 0
    text: str = ""

    @property
    def first(self) -> float:
        """Seconds to the first piece."""
        return self.stamps[0] - self.begun

    @property
    def gaps(self) -> list[tuple[float, float]]:
        """When each gap between two pieces began, and how long it was."""
        return [(early, late - early) for early, late in itertools.pairwise(self.stamps)]


async def read(backend: Streams, request: ChatRequest, reading: Reading | None = None) -> Reading:
    """Read an answer to its end; ``reading`` can be watched meanwhile."""
    reading = reading or Reading(time.perf_counter())
    async with aclosing(backend.stream(request)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                reading.text += event.text
                # Readers see no blank: the streamer of transformers sends the space of a word before the word.
                if event.text.strip():
                    reading.stamps.append(time.perf_counter())
            elif isinstance(event, Finish):
                reading.tokens = event.usage.output_tokens if event.usage else len(reading.stamps)
    reading.ended = time.perf_counter()
    if not reading.stamps:
        raise RuntimeError("An answer without text cannot be measured.")
    return reading


async def read_all(backend: Streams, requests: Sequence[ChatRequest]) -> list[Reading]:
    """Ask everything at once and read all to the end."""
    return await asyncio.gather(*(read(backend, request) for request in requests))


@asynccontextmanager
async def ticking() -> AsyncIterator[list[float]]:
    """Collect how many seconds late the event loop woke, each 5 ms, while the block runs."""
    lags: list[float] = []

    async def tick() -> None:
        while True:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            lags.append(time.perf_counter() - due)

    task = asyncio.create_task(tick())
    try:
        yield lags
    finally:
        task.cancel()


def tokens_per_second(readings: Sequence[Reading]) -> float:
    wall = max(reading.ended for reading in readings) - min(reading.begun for reading in readings)
    return sum(reading.tokens for reading in readings) / wall


def step_seconds(readings: Sequence[Reading]) -> float:
    """Return the time of a step in which all wrote and none read its prompt: the pace of the last to begin."""
    last = max(readings, key=lambda reading: reading.stamps[0])
    others_end = min(reading.stamps[-1] for reading in readings)
    shared = [stamp for stamp in last.stamps if stamp <= others_end]
    if len(shared) < 2:
        shared = last.stamps
    pieces = len(last.stamps)
    tokens_per_piece = last.tokens / pieces
    return (shared[-1] - shared[0]) / max(1, len(shared) - 1) / tokens_per_piece


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def describe(readings: Sequence[Reading], lags: Sequence[float]) -> dict[str, float]:
    firsts = [reading.first for reading in readings]
    return {
        "tokens_per_s": tokens_per_second(readings),
        "first_s": statistics.median(firsts),
        "last_first_s": max(firsts),
        "lag_p99_ms": percentile(lags, 0.99) * 1000,
        "lag_max_ms": max(lags) * 1000,
        "step_ms": step_seconds(readings) * 1000,
        "tokens": sum(reading.tokens for reading in readings),
    }
