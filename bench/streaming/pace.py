"""The text that is streamed: numbered tokens that say when they were due, at a pace that no late loop slows down."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Order:
    """What a reader asks for; as a text, it is the message that a user sends."""

    tokens: int
    rate: float
    """Tokens a second, each due at its own moment; 0 is as fast as it goes."""

    def __str__(self) -> str:
        return f"{self.tokens} {self.rate:g}"

    @classmethod
    def parse(cls, text: str) -> Self:
        tokens, rate = text.split()
        return cls(int(tokens), float(rate))

    def due(self, begun: float, number: int) -> float:
        """Return when a token is to be sent, by the monotonic clock, which all processes of a machine share."""
        return begun + number / self.rate if self.rate else time.monotonic()


def token(number: int, due: float) -> str:
    """Return ``<number> <microseconds> ``; some begin with a character that is two units of UTF-16 and four bytes."""
    return f"{'' if number % 8 else '🙂'}{number} {int(due * 1e6)} "


def seal(pieces: list[str]) -> str:
    """Return the last piece of an answer, by which its reader knows that all before it is what was sent."""
    return f"={zlib.crc32(''.join(pieces).encode()):08x}"


async def paced(order: Order) -> AsyncIterator[str]:
    """Yield the pieces of an answer on time, or at once those that are late already."""
    begun = time.monotonic()
    pieces = []
    for number in range(order.tokens):
        due = order.due(begun, number)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        pieces.append(token(number, due))
        yield pieces[-1]
    yield seal(pieces)


def paced_in_thread(order: Order) -> Iterator[str]:
    """Yield the same in a thread of one's own."""
    begun = time.monotonic()
    pieces = []
    for number in range(order.tokens):
        due = order.due(begun, number)
        if (pause := due - time.monotonic()) > 0:
            time.sleep(pause)
        pieces.append(token(number, due))
        yield pieces[-1]
    yield seal(pieces)
