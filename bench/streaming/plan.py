"""What is measured: the ways, the scenarios and the sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bench.streaming.pace import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to bring answers to readers."""

    label: str
    kind: Literal["bare", "seed", "site"]
    place: str
    """The path of the stream; for the site, the assistant who is asked."""
    asks_upstream: bool = False
    """Whether the text comes from another process, by chat completions."""
    is_shared: bool = False
    """Whether it takes the database and the Redis that the environment names, and several processes."""


WAYS = {
    "bare": Way(label="an async Django view, StreamingHttpResponse, nothing else", kind="bare", place="/stream"),
    "flask": Way(label="the seed: Flask, a thread per request", kind="seed", place="/stream"),
    "ours": Way(label="the site: storage, resume, many tabs", kind="site", place="paced"),
    "bare-openai": Way(label="an async Django view over AsyncOpenAI", kind="bare", place="/openai", asks_upstream=True),
    "ours-openai": Way(label="the site over OpenAIBackend", kind="site", place="upstream", asks_upstream=True),
    "ours-workers": Way(
        label="the site, several processes, DATABASE_URL and REDIS_URL", kind="site", place="paced", is_shared=True
    ),
}
WAYS_IN_PROCESS = ("bare", "flask", "ours")
WAYS_OF_SITE = ("ours", "ours-openai", "ours-workers")

SCENARIOS = ("throughput", "answers", "most", "steady", "breaks", "open", "soak")
WAYS_OF_SCENARIO: Mapping[str, tuple[str, ...]] = {
    "throughput": tuple(WAYS),
    "answers": tuple(WAYS),
    "most": tuple(WAYS),
    "steady": tuple(WAYS),
    "breaks": WAYS_OF_SITE,
    "open": ("bare", "flask", "ours"),
    "soak": ("ours", "ours-workers"),
}


LONGEST_RAMP = 25.0
"""Seconds over which users begin, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything."""

    users: tuple[int, ...] = (1, 50, 200, 500)
    rate: float = 30
    tokens: int = 240
    seconds: float = 12
    """How long is measured, after all users have begun."""
    answer_users: int = 4
    steady_users: int = 500
    steady_rate: float = 20
    most_users: int = 50
    most_tokens: int = 2_000
    break_users: int = 50
    open_streams: int = 2_000
    soak_users: int = 50
    soak_seconds: float = 1800
    """Memory is looked at in the last third; before, caches fill up."""
    people: int = 500
    """Accounts; more streams than that are further tabs of the same people."""
    workers: int = 2


QUICK_SIZES = Sizes(
    users=(4,),
    tokens=30,
    seconds=1,
    steady_users=8,
    most_users=3,
    most_tokens=200,
    break_users=3,
    open_streams=30,
    soak_users=3,
    soak_seconds=3,
    people=10,
)
QUICK_WAYS: Mapping[str, tuple[str, ...]] = {
    "throughput": tuple(WAYS),
    "answers": ("bare", "ours"),
    "most": ("ours-openai",),
    "steady": ("ours",),
    "breaks": ("ours",),
    "open": ("ours",),
    "soak": ("ours",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is measured of one way, on a server of its own."""

    scenario: str
    way: str
    users: int
    order: Order
    seconds: float
    workers: int = 1
    round: int = 0

    @property
    def answer_seconds(self) -> float:
        """How long an answer takes on a server that keeps up."""
        return self.order.tokens / self.order.rate if self.order.rate else 1.0


def list_jobs(sizes: Sizes, ways: Mapping[str, tuple[str, ...]], rounds: int) -> list[Job]:
    """Return the jobs of all rounds; ``ways`` has those of each scenario, which take turns at each number of users."""
    paced, free = Order(sizes.tokens, sizes.rate), Order(sizes.most_tokens, 0)
    # Nobody ends or begins an answer while it is measured: what streams cost, without the questions.
    steady = Order(int(sizes.steady_rate * (LONGEST_RAMP + sizes.seconds + 3)), sizes.steady_rate)
    cases = {
        "throughput": [(users, paced, sizes.seconds) for users in sizes.users],
        "answers": [(sizes.answer_users, Order(1, 0), sizes.seconds)],
        "most": [(sizes.most_users, free, sizes.seconds)],
        "steady": [(sizes.steady_users, steady, sizes.seconds)],
        "breaks": [(sizes.break_users, paced, sizes.seconds)],
        # The second token of a stream that only waits is hours away.
        "open": [(sizes.open_streams, Order(2, 0.0001), sizes.seconds)],
        "soak": [(sizes.soak_users, paced, sizes.soak_seconds)],
    }
    return [
        Job(
            scenario=scenario,
            way=way,
            users=users,
            order=order,
            seconds=seconds,
            workers=sizes.workers if WAYS[way].is_shared else 1,
            round=number,
        )
        for number in range(rounds)
        for scenario in ways
        for users, order, seconds in cases[scenario]
        for way in ways[scenario]
    ]
