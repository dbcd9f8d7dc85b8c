"""What was read and written in earlier turns, kept so that a follow-up need not read it again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backends.transformers.engine.slots import Row, Slots

WORTHWHILE = 16
"""Tokens. Fewer are read as fast as they are copied."""


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    user: str
    tokens: npt.NDArray[np.int64]
    saved: Row
    bytes: int


class PrefixStore:
    """Copies of slots by the tokens in them, up to a number of bytes; the one unused for longest goes first.

    Users do not share what they wrote: how soon an answer begins would tell one what another has asked.
    """

    def __init__(self, slots: Slots, *, most_bytes: int) -> None:
        self._slots = slots
        self._most_bytes = most_bytes
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._next = 0
        self.bytes = 0
        self.reused_tokens = 0
        """Tokens that were not read again, since the start."""

    def __len__(self) -> int:
        return len(self._entries)

    def save(self, user: str, tokens: Sequence[int], row: int) -> None:
        """Keep a copy of the row, which holds these tokens; what it continues is dropped."""
        size = len(tokens) * self._slots.token_bytes
        if len(tokens) < WORTHWHILE or size > self._most_bytes:
            return
        ids = np.array(tokens)
        for key, entry in list(self._entries.items()):
            if entry.user == user:
                common = _common(entry.tokens, ids)
                if common == len(ids):
                    self._entries.move_to_end(key)
                    return
                if common == len(entry.tokens):
                    self._drop(key)
        while self.bytes + size > self._most_bytes:
            self._drop(next(iter(self._entries)))
        self._entries[self._next] = _Entry(user, ids, self._slots.save(row, len(tokens)), size)
        self._next += 1
        self.bytes += size

    def restore(self, user: str, tokens: Sequence[int], row: int) -> int:
        """Write the longest known beginning of these tokens into the row; return its length, always less than all."""
        ids = np.array(tokens[:-1])  # the last one must be read: what follows it is what we want to know
        best, length = None, WORTHWHILE - 1
        for key, entry in self._entries.items():
            if entry.user == user and (common := _common(entry.tokens, ids)) > length:
                best, length = key, common
        if best is None:
            return 0
        self._entries.move_to_end(best)
        self._slots.restore(self._entries[best].saved, row, length)
        self.reused_tokens += length
        return length

    def _drop(self, key: int) -> None:
        self.bytes -= self._entries.pop(key).bytes


def _common(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> int:
    """Return how many tokens both begin with."""
    shorter = min(len(one), len(other))
    differ = one[:shorter] != other[:shorter]
    return int(differ.argmax()) if differ.any() else shorter
