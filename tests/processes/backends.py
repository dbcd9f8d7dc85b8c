"""A backend that tells a test which process asked it, and when it was closed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator

from django.conf import settings

from backends import BaseChatBackend, ChatRequest, Finish, StreamEvent, TextDelta, Usage

LOG = "asked.log"


class SteadyBackend(BaseChatBackend):
    """Asked ``count 30 20``, it says 30 numbers, one every 20 ms; ``asked.log`` has a line for each begin and end."""

    sends_data_away = False

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        question = request.messages[-1].content
        count, milliseconds = map(int, question.split()[1:3])
        _note("opened", question)
        try:
            for number in range(count):
                yield TextDelta(f"{number} ")
                await asyncio.sleep(milliseconds / 1000)
            yield Finish("stop", Usage(1, count))
        finally:
            _note("closed", question)


def _note(what: str, question: str) -> None:
    # One write to a file that is appended to: lines of several processes do not mix.
    with (settings.VAR_DIR / LOG).open("a") as log:
        log.write(f"{what} {os.getpid()} {question}\n")


def whole(count: int) -> str:
    """Return what the backend says when it is asked to count so far."""
    return "".join(f"{number} " for number in range(count))
