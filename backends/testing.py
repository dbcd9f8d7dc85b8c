"""The contract as tests: subclass ``ChatBackendConformance`` in your test suite and say how to make your backend.

::

    class TestEcho(ChatBackendConformance):
        def make_backend(self):
            return EchoBackend()

        def make_broken_backend(self):
            return EchoBackend(path="/does/not/exist")

Runs under pytest without a plugin: each test drives its own event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from backends.base import BaseChatBackend, ChatMessage, ChatRequest, Finish, StreamEvent, TextDelta
from backends.exceptions import ChatBackendError

T = TypeVar("T")


class ChatBackendConformance:
    """What every backend promises."""

    request = ChatRequest(messages=(ChatMessage("user", "Hello"),), max_output_tokens=32)
    """A request that is answered with at least one delta."""

    long_request = ChatRequest(messages=(ChatMessage("user", "Tell me a long story"),), max_output_tokens=200)
    """A request whose answer takes a while, to be closed early."""

    multibyte_request = ChatRequest(messages=(ChatMessage("user", "안녕하세요 👋🏽"),), max_output_tokens=32)
    """A request in, and preferably answered in, characters of several bytes."""

    counts_usage = True
    """Whether ``Finish.usage`` is filled in."""

    timeout = 60.0
    """Seconds that one test may take, the loading of a model included."""

    def make_backend(self) -> BaseChatBackend:
        """Return a backend that works."""
        raise NotImplementedError

    def make_broken_backend(self) -> BaseChatBackend:
        """Return a backend that cannot answer (nobody listens, no such file, …)."""
        raise NotImplementedError

    def test_streams_deltas_then_one_finish(self) -> None:
        events = self._run(self._answer(self.make_backend(), self.request))
        assert any(isinstance(event, TextDelta) for event in events), "no text"
        assert [event for event in events if isinstance(event, Finish)] == events[-1:], "one Finish, at the end"
        finish = events[-1]
        assert isinstance(finish, Finish)
        assert finish.reason in {"stop", "length", "content_filter"}

    def test_deltas_are_well_formed_text(self) -> None:
        events = self._run(self._answer(self.make_backend(), self.multibyte_request))
        for event in events:
            if isinstance(event, TextDelta):
                assert event.text, "an empty delta"
                assert "\ufffd" not in event.text, "a character was cut between two deltas"
                event.text.encode()  # a lone surrogate raises here

    def test_counts_usage(self) -> None:
        finish = self._run(self._answer(self.make_backend(), self.request))[-1]
        assert isinstance(finish, Finish)
        if self.counts_usage:
            assert finish.usage is not None
            assert finish.usage.input_tokens > 0
            assert finish.usage.output_tokens > 0

    def test_two_streams_at_once(self) -> None:
        async def both(backend: BaseChatBackend) -> list[list[StreamEvent]]:
            return await asyncio.gather(*(self._collect(backend, self.request) for _ in range(2)))

        backend = self.make_backend()
        for events in self._run(self._closing(backend, both(backend))):
            assert isinstance(events[-1], Finish)

    def test_closing_early_stops_the_work(self) -> None:
        async def leave_early(backend: BaseChatBackend) -> float:
            async with aclosing(backend.stream(self.long_request)) as stream:
                async for event in stream:
                    if isinstance(event, TextDelta):
                        break
                left_at = time.monotonic()
            return time.monotonic() - left_at

        backend = self.make_backend()
        assert self._run(self._closing(backend, leave_early(backend))) < 1

    def test_is_usable_after_aclose(self) -> None:
        async def twice(backend: BaseChatBackend) -> list[StreamEvent]:
            await self._collect(backend, self.request)
            await backend.aclose()
            return await self._collect(backend, self.request)

        backend = self.make_backend()
        assert isinstance(self._run(self._closing(backend, twice(backend)))[-1], Finish)

    def test_is_usable_from_another_event_loop(self) -> None:
        backend = self.make_backend()
        for _ in range(2):
            assert isinstance(self._run(self._answer(backend, self.request))[-1], Finish)

    def test_failures_are_chat_backend_errors(self) -> None:
        try:
            self._run(self._answer(self.make_broken_backend(), self.request))
        except ChatBackendError as error:
            assert str(error), "an error says what went wrong"
            assert error.code
        else:
            raise AssertionError("the broken backend answered")

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(asyncio.wait_for(work, self.timeout))

    async def _answer(self, backend: BaseChatBackend, request: ChatRequest) -> list[StreamEvent]:
        return await self._closing(backend, self._collect(backend, request))

    async def _closing(self, backend: BaseChatBackend, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        finally:
            await backend.aclose()

    async def _collect(self, backend: BaseChatBackend, request: ChatRequest) -> list[StreamEvent]:
        async with aclosing(backend.stream(request)) as stream:
            return [event async for event in stream]
