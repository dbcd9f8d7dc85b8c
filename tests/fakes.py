"""Backends that do what a test tells them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

from backends import BaseChatBackend, ChatRequest, Finish, Stage, StreamEvent, TextDelta, Usage
from backends.exceptions import BackendUnavailable
from chat.models import Generation
from chat.queue import claim


class EchoBackend(BaseChatBackend):
    """Says the newest message again, word by word."""

    sends_data_away = False

    def __init__(self, *, delay: float = 0.0) -> None:
        self.delay = delay

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        words = request.messages[-1].content.split(" ")
        for index, word in enumerate(words):
            await asyncio.sleep(self.delay)
            yield TextDelta(word if index == 0 else f" {word}")
        yield Finish("stop", Usage(sum(len(message.content.split()) for message in request.messages), len(words)))


class ScriptedBackend(BaseChatBackend):
    """Behaves as the first word of the newest message says; remembers what it was asked and which streams it closed."""

    requests: list[ChatRequest] = []
    closed = 0
    open = 0

    def __init__(self) -> None:
        type(self).requests = []
        type(self).closed = type(self).open = 0

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        self.requests.append(request)
        type(self).open += 1
        try:
            async for event in getattr(self, f"_{request.messages[-1].content.split()[0].lower()}")():
                yield event
        finally:
            type(self).open -= 1
            type(self).closed += 1

    async def _fail(self) -> AsyncGenerator[StreamEvent]:
        raise BackendUnavailable("Connection refused.", hint="Start the server.")
        yield

    async def _break(self) -> AsyncGenerator[StreamEvent]:
        yield TextDelta("The beginning")
        raise BackendUnavailable("Connection reset.")

    async def _crash(self) -> AsyncGenerator[StreamEvent]:
        yield TextDelta("The beginning")
        raise ZeroDivisionError("secret prompt")

    async def _silent(self) -> AsyncGenerator[StreamEvent]:
        yield TextDelta("no finish")

    async def _length(self) -> AsyncGenerator[StreamEvent]:
        yield TextDelta("cut")
        yield Finish("length", Usage(3, 1))

    async def _halves(self) -> AsyncGenerator[StreamEvent]:
        for text in ("a\ud83d", "\ude00b", "\x00", "\udc00c", "d\ud83d"):
            yield TextDelta(text)
        yield Finish("stop")

    async def _stages(self) -> AsyncGenerator[StreamEvent]:
        for stage in (Stage("queued", 3), Stage("queued", 1), Stage("loading"), Stage("reading")):
            yield stage
            while not await Generation.objects.filter(stage=stage.name, stage_position=stage.position).aexists():
                await asyncio.sleep(0.01)
        yield TextDelta("ready")
        yield Finish("stop")

    async def _steered(self) -> AsyncGenerator[StreamEvent]:
        """Say the lines that a test writes to the file in the message: ``queued [3]``, ``text Hi⏎``, ``end``."""
        script = Path(self.requests[-1].messages[-1].content.split()[1])
        said = 0
        while True:
            lines = script.read_text().splitlines()
            for line in lines[said:]:
                word, _, rest = line.partition(" ")
                if word == "end":
                    yield Finish("stop")
                    return
                yield TextDelta(rest.replace("⏎", "\n")) if word == "text" else Stage(word, *json.loads(rest or "[]"))
            said = len(lines)
            await asyncio.sleep(0.02)

    async def _forever(self) -> AsyncGenerator[StreamEvent]:
        number = 0
        while True:
            yield TextDelta(f"{number} ")
            number += 1
            await asyncio.sleep(0.01)

    async def _markdown(self) -> AsyncGenerator[StreamEvent]:
        for piece in (
            "# Title\n\n",
            "Some **bo",
            "ld** text and `co",
            "de`.\n\n```python\nprint(1)\n",
            "```\n\n- one\n- two\n",
        ):
            yield TextDelta(piece)
            await asyncio.sleep(0.05)
        yield Finish("stop", Usage(2, 20))


def claim_one(worker: str) -> Generation | None:
    """Make the answer that has waited longest this worker's; None if none waits."""
    claimed = claim(worker, 1)
    return claimed[0] if claimed else None
