"""A backend that answers at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from backends import BaseChatBackend, ChatRequest, Finish, StreamEvent, TextDelta, Usage


class InstantBackend(BaseChatBackend):
    """Says hello."""

    sends_data_away = False

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        yield TextDelta("Hello.")
        yield Finish("stop", Usage(len(request.messages), 1))
