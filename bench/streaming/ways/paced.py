"""The upstream of our site that is in its own process."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from backends import BaseChatBackend, ChatRequest, Finish, StreamEvent, TextDelta, Usage
from bench.streaming.pace import Order, paced


class PacedBackend(BaseChatBackend):
    """Answers what the message orders."""

    sends_data_away = False

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        order = Order.parse(request.messages[-1].content)
        async for piece in paced(order):
            yield TextDelta(piece)
        yield Finish("stop", Usage(len(request.messages), order.tokens))
