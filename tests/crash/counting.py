"""A backend that counts, as far as a test lets it, and goes on where an answer stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from itertools import count
from pathlib import Path

from backends import BaseChatBackend, ChatRequest, Finish, Stage, StreamEvent, TextDelta, Usage

STEP = 5
"""Characters in a delta; words are longer and shorter, so that they are cut anywhere."""
PACE = 0.005


def counted(length: int) -> str:
    """Return so many code points of what the backend writes: no two places look alike, and some are no BMP."""
    text = ""
    for number in count(1):
        if len(text) >= length:
            break
        text += f"{number}🙂 " if number % 10 == 0 else f"{number} "
    return text[:length]


class Gate:
    """A file that says up to how many characters answers may be written; without it they may end."""

    def __init__(self, path: Path, length: int) -> None:
        self.path = path
        self.let(length)

    def let(self, length: int) -> None:
        fresh = self.path.with_suffix(".fresh")
        fresh.write_text(str(length))
        fresh.replace(self.path)

    def open(self) -> None:
        self.path.unlink()


class CountingBackend(BaseChatBackend):
    """Writes as many characters as the question says: ``count 300``, or ``count 300 PATH`` with a gate at that
    path."""

    sends_data_away = False

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        newest = request.messages[-1]
        is_begun = newest.role == "assistant"
        question = request.messages[-2] if is_begun else newest
        _, length, *rest = question.content.split()
        gates = [gate for gate in rest if gate.startswith("/")]
        text, begun = counted(int(length)), newest.content if is_begun else ""
        assert text.startswith(begun)
        yield Stage("reading")
        for at in range(len(begun), len(text), STEP):
            await self._pass(gates, at + STEP)
            yield TextDelta(text[at : at + STEP])
            await asyncio.sleep(PACE)
        await self._pass(gates, len(text) + STEP)
        yield Finish("stop", Usage(1, 1))

    async def _pass(self, gates: list[str], length: int) -> None:
        while any(self._allowed(Path(gate)) < length for gate in gates):
            await asyncio.sleep(0.01)

    def _allowed(self, gate: Path) -> float:
        try:
            return int(gate.read_text())
        except FileNotFoundError:
            return float("inf")
