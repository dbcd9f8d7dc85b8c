"""What a worker process measures on one way. Each returns figures by case, such as the number of streams."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from backends.base import ChatMessage, ChatRequest, Stage, TextDelta
from bench.engine.floor import bytes_of
from bench.engine.plan import WAYS, Job
from bench.engine.prompts import Prompts, ask, context_of
from bench.engine.readers import Reading, Streams, describe, read, read_all, ticking, tokens_per_second
from bench.engine.ways import open_way

Cases = dict[str, dict[str, float]]


async def throughput(job: Job) -> Cases:
    """So many answers at once, for each number of streams."""
    sizes = job.sizes
    cases: Cases = {}
    async with _opened(job, slots=max(sizes.streams)) as (backend, prompts):
        bytes_per_weight = await _bytes_per_weight(backend, job)
        for streams in sizes.streams:
            await _warm_up(backend, prompts, job, streams)
            requests = prompts.requests(streams, sizes)
            async with ticking() as lags:
                readings = await read_all(backend, requests)
            figures = describe(readings, lags)
            figures["short_answers"] = sum(reading.tokens < sizes.tokens for reading in readings)
            if bytes_per_weight:
                figures["bytes_per_weight"] = bytes_per_weight
            if WAYS[job.way].kind == "ours":
                figures["web_us_per_token"] = await _web_cost(backend, prompts.requests(streams, sizes))
            cases[str(streams)] = figures
    return cases


async def gap(job: Job) -> Cases:
    """A long prompt joins streams that run: how long they stand still for it."""
    sizes = job.sizes
    async with _opened(job, slots=sizes.gap_streams + 1) as (backend, prompts):
        await _warm_up(backend, prompts, job, sizes.gap_streams)
        running, watched = _start(backend, prompts.requests(sizes.gap_streams, sizes, tokens=sizes.lasting))
        await _until_written(watched, max(4, sizes.tokens // 4))
        joined = time.perf_counter()
        joiner = await read(backend, prompts.request(min(sizes.gap_prompt, _context(job) - 24), 16))
        began = joiner.stamps[0]
        await _leave(running)
    before = [length for one in watched for start, length in one.gaps if start + length < joined]
    during = [length for one in watched for start, length in one.gaps if start < began and start + length > joined]
    if not during:
        raise RuntimeError("The running streams ended before the long prompt was read.")
    usual = statistics.median(before)
    return {
        str(sizes.gap_streams): {
            "usual_ms": usual * 1000,
            "longest_before_ms": max(before) * 1000,
            "longest_ms": max(during) * 1000,
            "ratio": max(during) / usual,
            "joiner_first_s": joiner.first,
        }
    }


async def busy(job: Job) -> Cases:
    """The event loop is 40 % busy with Python: how much speed that costs."""
    sizes = job.sizes
    idle_speeds, busy_speeds = [], []
    async with _opened(job, slots=sizes.busy_streams) as (backend, prompts):
        await _warm_up(backend, prompts, job, sizes.busy_streams)
        for _ in range(sizes.busy_pairs):
            idle_speeds.append(tokens_per_second(await read_all(backend, prompts.requests(sizes.busy_streams, sizes))))
            work = asyncio.create_task(_keep_busy())
            busy_speeds.append(tokens_per_second(await read_all(backend, prompts.requests(sizes.busy_streams, sizes))))
            work.cancel()
    idle, slowed = statistics.median(idle_speeds), statistics.median(busy_speeds)
    return {
        str(sizes.busy_streams): {"idle_tokens_per_s": idle, "busy_tokens_per_s": slowed, "loss": 1 - slowed / idle}
    }


async def reuse(job: Job) -> Cases:
    """A conversation: how long the last turn waits for its first piece."""
    sizes = job.sizes
    messages: tuple[ChatMessage, ...] = ()
    firsts = []
    async with _opened(job, slots=1) as (backend, prompts):
        await _warm_up(backend, prompts, job, 1)
        for _ in range(sizes.turns):
            messages += (ChatMessage("user", prompts.words(sizes.turn_words)),)
            reading = await read(backend, ask(messages, sizes.turn_tokens, user="reader"))
            messages += (ChatMessage("assistant", reading.text.strip()),)
            firsts.append(reading.first)
    return {str(sizes.turns): {"turn_2_first_s": firsts[1], "first_s": firsts[-1]}}


async def cancel(job: Job) -> Cases:
    """All slots are taken and one more waits: how long after a reader leaves it gets the slot."""
    sizes = job.sizes
    freed, steps = [], []
    slots = sizes.slots_to_cancel
    async with _opened(job, slots=slots) as (backend, prompts):
        await _warm_up(backend, prompts, job, slots)
        for _ in range(sizes.cancels):
            # They must not end by themselves before one is told to.
            endless = min(800, _context(job) - 2 * sizes.prompt[1])
            running, watched = _start(backend, prompts.requests(slots, sizes, tokens=endless))
            await _until_written(watched, 4)
            waiting = asyncio.create_task(_first_sign(backend, prompts.request(sizes.prompt[0], 2)))
            await asyncio.sleep(0.05)
            if waiting.done() or any(task.done() for task in running):
                raise RuntimeError("The request did not have to wait for a slot.")
            left = time.perf_counter()
            running[0].cancel()
            freed.append(await waiting - left)
            steps += [length for one in watched for start, length in one.gaps if start + length < left]
            await _leave(running)
    step = statistics.median(steps)
    freed_median = statistics.median(freed)
    return {str(slots): {"freed_ms": freed_median * 1000, "step_ms": step * 1000, "steps": freed_median / step}}


SCENARIOS: dict[str, Callable[[Job], Awaitable[Cases]]] = {
    "throughput": throughput,
    "gap": gap,
    "busy": busy,
    "reuse": reuse,
    "cancel": cancel,
}


@asynccontextmanager
async def _opened(job: Job, *, slots: int) -> AsyncIterator[tuple[Streams, Prompts]]:
    backend = open_way(job, slots=slots)
    try:
        yield backend, Prompts(job.model, f"{job.scenario} {job.round}")
    finally:
        await backend.aclose()


async def _warm_up(backend: Streams, prompts: Prompts, job: Job, streams: int) -> None:
    """Load the model, and let each part of it see once how much comes at a time."""
    await read_all(backend, prompts.requests(streams, job.sizes, tokens=min(8, job.sizes.tokens)))


async def _web_cost(backend: Streams, requests: list[ChatRequest]) -> float:
    """Return the microseconds of CPU a token that this process needs, when the engine is another one.

    The clock that looks for lags does not tick meanwhile: it would cost more than all the rest.
    """
    before = time.process_time()
    readings = await read_all(backend, requests)
    return (time.process_time() - before) * 1e6 / sum(reading.tokens for reading in readings)


async def _bytes_per_weight(backend: Streams, job: Job) -> float:
    """Return the size of a weight as it is read, 0 where nobody says."""
    dtype = WAYS[job.way].dtype
    if dtype == "auto" and hasattr(backend, "status"):
        await read(backend, ask((ChatMessage("user", "Hello."),), 2))  # a model that is not loaded has no figures
        dtype = str((await backend.status()).get("dtype", ""))
    return bytes_of(dtype)


def _context(job: Job) -> int:
    return context_of(json.loads((Path(job.model) / "config.json").read_text()))


def _start(backend: Streams, requests: list[ChatRequest]) -> tuple[list[asyncio.Task[Reading]], list[Reading]]:
    watched = [Reading(time.perf_counter()) for _ in requests]
    tasks = [
        asyncio.create_task(read(backend, request, reading)) for request, reading in zip(requests, watched, strict=True)
    ]
    return tasks, watched


async def _leave(tasks: list[asyncio.Task[Reading]]) -> None:
    """Close the streams that still run."""
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


async def _until_written(watched: list[Reading], pieces: int) -> None:
    async with asyncio.timeout(120):
        # An event instead would be set by the code under measurement.
        while min(len(reading.stamps) for reading in watched) < pieces:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def _first_sign(backend: Streams, request: ChatRequest) -> float:
    """Return when a request got its slot: its prompt is read, or there is text already."""
    began = 0.0
    async for event in backend.stream(request):
        is_sign = isinstance(event, TextDelta) or (isinstance(event, Stage) and event.name in ("reading", "writing"))
        if is_sign and not began:
            began = time.perf_counter()
    return began


async def _keep_busy() -> None:
    """Calculate 4 of every 10 milliseconds, as pages and templates do."""
    while True:
        end = time.perf_counter() + 0.004
        while time.perf_counter() < end:
            pass
        await asyncio.sleep(0.006)
