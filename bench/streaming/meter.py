"""What the readers of a job saw."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from dataclasses import dataclass, field

from bench.streaming.answers import Answer, check, due_times


@dataclass(slots=True)
class Meter:
    """What all readers of a job saw; counted only while it is open, but for what must never happen."""

    is_open: bool = False
    tokens: int = 0
    events: int = 0
    lags: array[float] = field(default_factory=lambda: array("d"))
    """Milliseconds from the moment at which a token was due until it was read."""
    firsts: list[float] = field(default_factory=list)
    """Seconds from asking to the first piece."""
    answers: int = 0
    lost: int = 0
    doubled: int = 0
    repeated: int = 0
    snapshots: int = 0
    breaks: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def take(self, text: str, begun: float, *, is_first: bool) -> None:
        """Count what was read just now."""
        if not self.is_open or not text:
            return
        now = time.monotonic()
        self.events += 1
        if is_first:
            self.firsts.append(now - begun)
        try:
            due = due_times(text)
        except ValueError:  # the first token is not whole: a snapshot cut it
            return
        self.tokens += len(due)
        micros = now * 1e6
        self.lags.extend([(micros - one) / 1000 for one in due])

    def close(self, answer: Answer, tokens: int) -> None:
        """Check an answer that is over."""
        found = check(answer.text, tokens)
        self.answers += 1
        self.lost += found.lost
        self.doubled += found.doubled
        self.repeated += answer.repeated

    def verdict(self) -> dict[str, float]:
        """Return what holds of all answers, also of those that ended when nothing was counted any more."""
        counted = ("answers", "lost", "doubled", "repeated", "snapshots", "breaks")
        return {name: getattr(self, name) for name in counted} | {"failures": self.failures.total()}
