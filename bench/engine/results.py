"""Figures of all rounds, and what follows from them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from bench.engine.plan import Job

Key = tuple[str, str, str]
"""Scenario, way and case."""


@dataclass(slots=True)
class Results:
    """All rounds' figures by scenario, way and case."""

    figures: dict[Key, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why a way has no figures in a scenario."""
    others: list[float] = field(default_factory=list)
    """Which part of the CPU something else used before each job."""

    def add(self, job: Job, cases: dict[str, dict[str, float]]) -> None:
        for case, figures in cases.items():
            known = self.figures.setdefault((job.scenario, job.way, case), {})
            for name, value in figures.items():
                known.setdefault(name, []).append(value)

    def median(self, scenario: str, way: str, case: str | int, name: str) -> float | None:
        values = self.figures.get((scenario, way, str(case)), {}).get(name)
        return statistics.median(values) if values else None

    def ratio(self, scenario: str, case: str | int, name: str, way: str, other: str) -> float | None:
        """Return the median of a way over that of another."""
        one, two = self.median(scenario, way, case, name), self.median(scenario, other, case, name)
        return one / two if one is not None and two else None

    def cases(self, scenario: str) -> list[tuple[str, str]]:
        """Return the ways and cases of a scenario, in the order in which they were measured."""
        return [(way, case) for name, way, case in self.figures if name == scenario]

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "scenario": scenario,
                "way": way,
                "case": case,
                "figures": {
                    name: {"median": statistics.median(values), "min": min(values), "max": max(values), "all": values}
                    for name, values in figures.items()
                },
            }
            for (scenario, way, case), figures in self.figures.items()
        ]


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio that was promised."""

    name: str
    value: float
    limit: float | None = None
    at_least: bool = True

    @property
    def holds(self) -> bool | None:
        """None where nothing was promised."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def compare(results: Results, device: str, streams: tuple[int, ...]) -> list[Target]:
    """Return the ratios that this run can tell, each with its target, where it has one.

    The targets are for GPT-2 124M, on two cores or on one GPU.
    """
    is_cuda = device.startswith("cuda")
    found: list[tuple[str, float | None, float | None, bool]] = []
    speed = {1: 3.0, 8: 15.0, 32: 30.0} if is_cuda else {1: 1.5, 8: 9.0, 16: 12.0}
    for count in streams:
        name = f"tokens/s, {_streams(count)}, ours / "
        found += [
            (name + other, results.ratio("throughput", count, "tokens_per_s", "ours", other), limit, True)
            for other, limit in (("seed", speed.get(count)), ("seed-fp16", None), ("cb", None), ("cb-fp16", None))
        ]
    fp32 = results.ratio("throughput", 8, "tokens_per_s", "ours-fp32", "seed")
    first = results.ratio("throughput", 8, "last_first_s", "ours", "seed")
    lag = results.ratio("throughput", 8, "lag_p99_ms", "ours", "seed")
    found += [
        ("tokens/s, 8 streams, ours-fp32 / seed", fp32, None if is_cuda else 3.5, True),
        ("first text of the last of 8, ours / seed", first, 0.3 if is_cuda else 0.4, False),
        ("loop lag p99 under 8 streams, ours / seed", lag, 0.5, False),
    ]
    median = results.median
    found += [
        ("loop lag p99 under 8 streams, ms", median("throughput", "ours", 8, "lag_p99_ms"), 2 if is_cuda else 5, False),
        ("web process CPU, µs/token, 8 streams", median("throughput", "ours", 8, "web_us_per_token"), 30, False),
    ]
    for count, limit in ((1, 0.30 if is_cuda else 0.45), (8, 0.30 if is_cuda else 0.40)):
        found.append(
            (f"bandwidth floor / step, {_streams(count)}", median("floor", "ours", count, "share"), limit, True)
        )
    found += _compare_scenarios(results, is_cuda)
    return [Target(name, value, limit, at_least) for name, value, limit, at_least in found if value is not None]


def _streams(count: int) -> str:
    return "1 stream" if count == 1 else f"{count} streams"


def _compare_scenarios(results: Results, is_cuda: bool) -> list[tuple[str, float | None, float | None, bool]]:
    found: list[tuple[str, float | None, float | None, bool]] = []
    for way, case in results.cases("gap"):
        limit = 5.0 if way == "ours" else None
        name = f"longest gap when a long prompt joins {case} streams / usual gap, {way}"
        found.append((name, results.median("gap", way, case, "ratio"), limit, False))
    for way, case in results.cases("busy"):
        limit = (0.05 if is_cuda else 0.25) if way == "ours" else None
        name = f"tokens/s lost to a loop 40 % busy, {case} streams, {way}"
        found.append((name, results.median("busy", way, case, "loss"), limit, False))
    for way, case in results.cases("reuse"):
        if way == "ours":
            ratio = results.ratio("reuse", case, "first_s", "ours", "ours-forgetful")
            found.append((f"first text at turn {case}, with / without prefix cache", ratio, None, False))
    for way, case in results.cases("cancel"):
        found.append(("cancel to freed slot, steps", results.median("cancel", way, case, "steps"), 2, False))
    return found
