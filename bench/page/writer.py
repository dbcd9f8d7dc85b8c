"""A backend that writes markdown at the pace of a quick model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from random import Random

from backends import BaseChatBackend, ChatRequest, Finish, StreamEvent, TextDelta, Usage
from bench.page.content import answer


class WriterBackend(BaseChatBackend):
    """Writes an answer of ``size`` bytes, ``rate`` pieces of four letters a second."""

    sends_data_away = False

    def __init__(self, *, size: int = 40_000, rate: float = 150.0) -> None:
        self.size = size
        self.rate = rate

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        text = answer(Random(7), self.size)
        began = time.monotonic()
        pieces = [text[begin : begin + 4] for begin in range(0, len(text), 4)]
        for number, piece in enumerate(pieces):
            # By the clock: what came late is made up for, so that the pace does not depend on the machine.
            await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))
            yield TextDelta(piece)
        yield Finish("stop", Usage(len(request.messages), len(pieces)))
