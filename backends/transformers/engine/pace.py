"""How fast it goes, and so how much of a prompt may be read between two tokens of everybody else."""

from __future__ import annotations

import time
from collections import deque

FIRST_TOKENS = 512
"""Tokens of prompts read in one go, before it is known how long that takes."""
MOST_TOKENS = 1024
"""What is read in one go on a quick device, where nobody waits for a next token: enough to keep it busy."""
MOST_SECONDS = 0.5
"""On a slow one, as much as takes so long: who comes meanwhile is taken in only afterwards."""
LEAST_TOKENS = 32
"""Fewer cost what a pass costs, whatever they are."""
READING_SHARE = 1.0
"""Reading may take as long as so many writing steps. It is a guess from what reading took before, mostly together with
others and so quicker: the gaps of those who write become three to four times as long."""
CROWD_SHARE = 4.0
"""The same for each reader beside one writer: where many wait for a first token, few for a next one, those go first."""
GREATEST_SHARE = 16.0
MEMORY = 0.8
"""Weight of what is known against what was just measured."""
WINDOW = 5.0
"""Seconds over which tokens are counted."""


class Pace:
    """Measures steps."""

    def __init__(self) -> None:
        self._write_seconds = 0.0
        self._read_seconds_per_token = 0.0
        self._written: deque[tuple[float, int]] = deque()

    def has_read(self, tokens: int, seconds: float) -> None:
        if tokens >= LEAST_TOKENS:
            # Each pass goes through all weights, which is most of what a step of writing does.
            own = max(seconds - self._write_seconds, seconds / 2)
            self._read_seconds_per_token = _blend(self._read_seconds_per_token, own / tokens)

    def has_written(self, tokens: int, seconds: float) -> None:
        self._write_seconds = _blend(self._write_seconds, seconds)
        self._written.append((time.monotonic(), tokens))

    def tokens_to_read(self, *, reading: int, writing: int) -> int:
        """Return how many tokens of prompts the next pass may read, with so many answers on either side."""
        if not self._read_seconds_per_token:
            return FIRST_TOKENS
        seconds = MOST_SECONDS
        if writing and self._write_seconds:
            share = min(max(READING_SHARE, CROWD_SHARE * reading / writing), GREATEST_SHARE)
            seconds = min(seconds, share * self._write_seconds)
        return max(LEAST_TOKENS, min(MOST_TOKENS, int(seconds / self._read_seconds_per_token)))

    def tokens_per_second(self) -> float:
        """Return what all answers together were written at, over the last few seconds."""
        now = time.monotonic()
        while self._written and self._written[0][0] < now - WINDOW:
            self._written.popleft()
        return sum(tokens for _, tokens in self._written) / WINDOW


def _blend(known: float, measured: float) -> float:
    return MEMORY * known + (1 - MEMORY) * measured if known else measured
