"""What is measured: the ways, the scenarios and the sizes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Kind = Literal["seed", "continuous", "ours"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to write answers for many readers at once."""

    kind: Kind
    dtype: str
    label: str
    options: tuple[tuple[str, Any], ...] = ()
    """More options of our backend."""


WAYS = {
    "seed": Way(kind="seed", dtype="float32", label="thread per request, generate() + streamer, fp32"),
    "seed-fp16": Way(kind="seed", dtype="float16", label="thread per request, generate() + streamer, fp16"),
    "cb": Way(kind="continuous", dtype="float32", label="transformers' continuous batching in a thread, fp32"),
    "cb-bf16": Way(kind="continuous", dtype="bfloat16", label="transformers' continuous batching in a thread, bf16"),
    "cb-fp16": Way(kind="continuous", dtype="float16", label="transformers' continuous batching in a thread, fp16"),
    "ours": Way(kind="ours", dtype="auto", label="our engine, dtype auto"),
    "ours-fp32": Way(kind="ours", dtype="float32", label="our engine, fp32"),
    "ours-forgetful": Way(
        kind="ours", dtype="auto", label="our engine without a prefix cache", options=(("prefix_cache_mb", 0),)
    ),
}

CPU_WAYS = ("seed", "cb", "ours", "ours-fp32")
CUDA_WAYS = ("seed", "seed-fp16", "cb", "cb-fp16", "ours", "ours-fp32")

SCENARIOS = ("throughput", "gap", "busy", "reuse", "cancel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything."""

    streams: tuple[int, ...]
    tokens: int = 64
    """New tokens per answer."""
    prompt: tuple[int, int] = (56, 72)
    """Shortest and longest prompt, in tokens."""
    gap_streams: int = 4
    gap_prompt: int = 1000
    busy_streams: int = 8
    busy_pairs: int = 2
    turns: int = 20
    turn_words: int = 12
    turn_tokens: int = 16
    slots_to_cancel: int = 4
    cancels: int = 5
    peers: tuple[str, ...] = ("cb", "ours")
    """The ways to compare in the scenarios about streams that disturb each other."""

    @property
    def lasting(self) -> int:
        """Tokens of an answer that goes on while something happens to it."""
        return max(64, 3 * self.tokens)

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt and answer of which there are many at once."""
        return self.prompt[1] + self.lasting


CPU_SIZES = Sizes(streams=(1, 8, 16))
CUDA_SIZES = Sizes(streams=(1, 8, 32, 128))
QUICK_SIZES = Sizes(
    streams=(1, 2),
    tokens=8,
    gap_streams=2,
    gap_prompt=300,
    busy_streams=2,
    busy_pairs=1,
    turns=4,
    turn_tokens=4,
    slots_to_cancel=2,
    cancels=1,
    peers=("ours",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one worker process measures."""

    scenario: str
    sizes: Sizes
    way: str = ""
    model: str = ""
    device: str = "cpu"
    round: int = 0

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Job:
        values = json.loads(text)
        sizes = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.pop("sizes").items()
        }
        return cls(sizes=Sizes(**sizes), **values)


def list_jobs(job: Job, ways: tuple[str, ...], scenarios: tuple[str, ...], rounds: int) -> list[Job]:
    """Return the jobs of all rounds: each round has all of them, so that a noisy minute disturbs all alike."""
    pairs = [("bandwidth", "")]
    for scenario in scenarios:
        pairs += [(scenario, way) for way in _ways_of(scenario, ways, job.sizes)]
    return [
        replace(job, scenario=scenario, way=way, round=number) for number in range(rounds) for scenario, way in pairs
    ]


def _ways_of(scenario: str, ways: tuple[str, ...], sizes: Sizes) -> tuple[str, ...]:
    """Return which of the ways a scenario compares; one that looks at a part of ours leaves the others out."""
    if scenario == "throughput":
        return ways
    if scenario in ("gap", "busy"):
        return tuple(way for way in ways if way in sizes.peers)
    if "ours" not in ways:
        return ()
    return ("ours", "ours-forgetful") if scenario == "reuse" else ("ours",)
