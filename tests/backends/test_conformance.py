"""The conformance suite finds what it is there to find."""

from __future__ import annotations

import asyncio

import pytest

from backends import BaseChatBackend, ChatRequest, Finish, TextDelta, Usage
from backends.exceptions import BackendUnavailable
from backends.testing import ChatBackendConformance


class GoodBackend(BaseChatBackend):
    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    async def stream(self, request: ChatRequest):
        if self.broken:
            raise BackendUnavailable("Nobody is there.")
        for word in ("안녕", " ", "👋🏽"):
            await asyncio.sleep(0)
            yield TextDelta(word)
        yield Finish("stop", Usage(1, 3))


class TestGoodBackend(ChatBackendConformance):
    def make_backend(self):
        return GoodBackend()

    def make_broken_backend(self):
        return GoodBackend(broken=True)


class Bad(BaseChatBackend):
    """Yields what it was given, raises what it was given, and may be slow to leave."""

    def __init__(self, *events, error=None, slow=0.0) -> None:
        self.events, self.error, self.slow = events, error, slow

    async def stream(self, request: ChatRequest):
        try:
            for event in self.events:
                yield event
            if self.error:
                raise self.error
        finally:
            await asyncio.sleep(self.slow)


END = Finish("stop", Usage(1, 1))


@pytest.mark.parametrize(
    ("test", "bad"),
    [
        ("streams_deltas_then_one_finish", Bad(END)),
        ("streams_deltas_then_one_finish", Bad(TextDelta("a"))),
        ("streams_deltas_then_one_finish", Bad(TextDelta("a"), END, END)),
        ("streams_deltas_then_one_finish", Bad(TextDelta("a"), END, TextDelta("b"))),
        ("streams_deltas_then_one_finish", Bad(TextDelta("a"), Finish("end_of_text"))),
        ("deltas_are_well_formed_text", Bad(TextDelta("\ufffd"), END)),
        ("deltas_are_well_formed_text", Bad(TextDelta(""), END)),
        ("counts_usage", Bad(TextDelta("a"), Finish("stop"))),
        ("counts_usage", Bad(TextDelta("a"), Finish("stop", Usage(0, 0)))),
        ("closing_early_stops_the_work", Bad(TextDelta("a"), END, slow=1.1)),
        ("failures_are_chat_backend_errors", Bad(TextDelta("a"), END)),
        ("failures_are_chat_backend_errors", Bad(error=KeyError("choices"))),
        ("failures_are_chat_backend_errors", Bad(error=BackendUnavailable(""))),
    ],
)
def test_it_finds_what_is_wrong(test, bad):
    class Suite(ChatBackendConformance):
        def make_backend(self):
            return bad

        make_broken_backend = make_backend

    with pytest.raises((AssertionError, KeyError)):
        getattr(Suite(), f"test_{test}")()
