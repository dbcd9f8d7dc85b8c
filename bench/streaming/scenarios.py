"""What is measured of a server that runs. Each returns figures."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from bench.streaming.connections import exchange, request_bytes
from bench.streaming.meter import Meter
from bench.streaming.pace import Order
from bench.streaming.plan import LONGEST_RAMP, WAYS, Job
from bench.streaming.process import busy_seconds, cpu_seconds, take_census
from bench.streaming.readers import PlainReader, Reader, Span, Tab, talk
from bench.streaming.servers import Setting

Figures = dict[str, float]

AT_ONCE = 20
"""Connections that are opened at the same time; a page load is no part of what is measured."""
SETTLE_SECONDS = 2.0
WARM_ORDER = Order(5, 0)
WARM_READERS = 8


class ScenarioFailed(Exception):
    """There is nothing to report."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The clock, and the CPU that everybody has used until now."""

    clock: float
    server: float
    upstream: float
    ours: float
    cores: float
    """What everybody used of the server's cores."""

    @classmethod
    def now(cls, setting: Setting) -> Moment:
        upstream = cpu_seconds(setting.upstream.pid) if setting.upstream else 0.0
        server = cpu_seconds(setting.server.pid)
        return cls(time.monotonic(), server, upstream, time.process_time(), busy_seconds(setting.cores))


async def flow(job: Job, setting: Setting) -> Figures:
    """Let all users ask one question after the other; measure once the last of them has begun."""
    meter = Meter()
    async with _gathered(job, setting, meter) as readers:
        breaking = [asyncio.create_task(tab.break_often()) for tab in readers if job.scenario == "breaks"]
        # One after the other over the time of an answer: users do not send at the same moment.
        ramp, now = max(1.0, min(job.answer_seconds, LONGEST_RAMP)), time.monotonic()
        patience = 30 + 4 * job.answer_seconds
        spans = [
            Span(now + ramp * number / job.users, now + ramp + job.seconds, patience) for number in range(job.users)
        ]
        talks = [
            asyncio.create_task(talk(reader, job.order, meter, span))
            for reader, span in zip(readers, spans, strict=True)
        ]
        await asyncio.sleep(ramp)
        figures = await _measure(job, setting, meter)
        await asyncio.wait(talks, timeout=patience)
        for task in [*talks, *breaking]:
            task.cancel()
        await asyncio.gather(*talks, *breaking, return_exceptions=True)
    for why, count in meter.failures.most_common(3):
        print(f"{job.way}, {job.users} users: {count} answers failed: {why}", file=sys.stderr)
    return figures | meter.verdict()


async def _measure(job: Job, setting: Setting, meter: Meter) -> Figures:
    """Open the meter for the job's time, and return what can be told of that time."""
    await _latest_upstream(setting)
    begun, meter.is_open = Moment.now(setting), True
    figures = await _watch_memory(setting, job.seconds)
    ended, meter.is_open = Moment.now(setting), False
    if not meter.tokens:
        raise ScenarioFailed(f"no token came: {next(iter(meter.failures), 'nobody says why')}")
    figures["upstream_late_ms"] = 1000 * await _latest_upstream(setting)
    return figures | _describe(job, meter, begun, ended)


async def hold(job: Job, setting: Setting) -> Figures:
    """Open streams on which nothing happens: what each of them holds."""
    meter = Meter()
    pid = setting.server.pid
    await _each(_make_readers(job, setting, meter)[:AT_ONCE], lambda reader: reader.hold(job.order), close=True)
    await asyncio.sleep(SETTLE_SECONDS)
    before = take_census(pid)
    readers = _make_readers(job, setting, meter)
    try:
        await _each(readers, lambda reader: reader.hold(job.order))
        await asyncio.sleep(SETTLE_SECONDS)
        held, begun = take_census(pid), Moment.now(setting)
        await asyncio.sleep(job.seconds)
        ended = Moment.now(setting)
    finally:
        for reader in readers:
            reader.close()
    await asyncio.sleep(SETTLE_SECONDS)
    after = take_census(pid)
    return {
        "kb_each": (held.rss_kb - before.rss_kb) / job.users,
        "threads": held.threads,
        "threads_more": held.threads - before.threads,
        "files": held.files,
        "files_more": held.files - before.files,
        "databases": held.databases,
        "databases_more": held.databases - before.databases,
        "files_left": after.files - before.files,
        "rss_mb": held.rss_kb / 1024,
        "server_share": (ended.server - begun.server) / (ended.clock - begun.clock),
    }


SCENARIOS: dict[str, Callable[[Job, Setting], Coroutine[Any, Any, Figures]]] = {
    "throughput": flow,
    "answers": flow,
    "most": flow,
    "steady": flow,
    "breaks": flow,
    "open": hold,
    "soak": flow,
}


@contextlib.asynccontextmanager
async def _gathered(job: Job, setting: Setting, meter: Meter) -> Any:
    """Open everybody's page, and let each part of the server see once what comes."""
    readers = _make_readers(job, setting, meter)
    try:
        await _each(readers, lambda reader: reader.open())
        await _each(readers[:WARM_READERS], lambda reader: reader.ask(WARM_ORDER))
        yield readers
    finally:
        for reader in readers:
            reader.close()


def _make_readers(job: Job, setting: Setting, meter: Meter) -> list[Reader]:
    way, port, people = WAYS[job.way], setting.server.port, setting.people
    if way.kind != "site":
        return [PlainReader(port, way.place, meter) for _ in range(job.users)]
    return [Tab(port, people[number % len(people)], way.place, meter) for number in range(job.users)]


async def _each(readers: Sequence[Reader], act: Callable[[Reader], Awaitable[None]], *, close: bool = False) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(reader: Reader) -> None:
        async with room, asyncio.timeout(60):
            await act(reader)
        if close:
            reader.close()

    await asyncio.gather(*(one(reader) for reader in readers))


async def _latest_upstream(setting: Setting) -> float:
    """Return the most seconds that the other process's upstream was late since it was asked last."""
    if setting.upstream is None:
        return 0.0
    _, body = await exchange(setting.upstream.port, request_bytes("GET", "/late"))
    return float(body)


async def _watch_memory(setting: Setting, seconds: float) -> Figures:
    """Look at the server's memory until the time is over; the growth is that of the last third."""
    pid, begun = setting.server.pid, time.monotonic()
    pause = max(0.5, seconds / 120)
    samples = []
    while (age := time.monotonic() - begun) < seconds:
        census = take_census(pid)
        samples.append((age, census.rss_kb))
        await asyncio.sleep(min(pause, seconds - age))
    later = [sample for sample in samples if sample[0] >= seconds * 2 / 3]
    middle = statistics.median(kb for _, kb in samples)
    return {
        "rss_mb": max(kb for _, kb in samples) / 1024,
        "threads": census.threads,
        "files": census.files,
        "growth_kb_per_min": 60 * slope(later),
        "growth_share_per_10_min": 600 * slope(later) / middle,
    }


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return by how much the line through the points rises per unit; 0 for less than two of them."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _describe(job: Job, meter: Meter, begun: Moment, ended: Moment) -> Figures:
    wall = ended.clock - begun.clock
    cpu = ended.server - begun.server
    figures = {
        "tokens_per_s": meter.tokens / wall,
        "cpu_per_1000": 1000 * cpu / meter.tokens,
        "tokens_per_event": meter.tokens / meter.events,
        "lag_p50_ms": percentile(meter.lags, 0.5),
        "lag_p99_ms": percentile(meter.lags, 0.99),
        "lag_max_ms": max(meter.lags),
        "server_share": cpu / wall,
        "generator_share": (ended.ours - begun.ours) / wall,
        "others_share": max(0.0, ended.cores - begun.cores - cpu) / wall,
        "upstream_share": (ended.upstream - begun.upstream) / wall,
    }
    if job.order.rate:
        figures["offered_per_s"] = job.users * job.order.rate
    if meter.firsts:
        figures["cpu_per_answer_ms"] = 1000 * cpu / len(meter.firsts)
        figures["tokens_per_answer"] = job.order.tokens
        figures["first_p50_ms"] = 1000 * percentile(meter.firsts, 0.5)
        figures["first_p99_ms"] = 1000 * percentile(meter.firsts, 0.99)
    return figures
