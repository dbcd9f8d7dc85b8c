"""The reader in front of every backend: whatever a plugin does, text within the limits and one verdict come out."""

from __future__ import annotations

import asyncio
import gc
import selectors
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends import Finish, Stage, StreamEvent, TextDelta, Usage, chat_backends, guard
from backends.base import ChatMessage, ChatRequest
from backends.checks import check_chat_backends
from backends.exceptions import (
    AnswerTimeout,
    BackendMisconfigured,
    BackendRateLimited,
    BackendTimeout,
    ChatBackendError,
    StreamInterrupted,
)
from backends.guard import AHEAD, Limits, guarded

SECRET = "marzipan"
T = TypeVar("T")


@dataclass
class Heard:
    """What came out of the guard."""

    events: list[StreamEvent] = field(default_factory=list)
    error: ChatBackendError | None = None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def finish(self) -> Finish | None:
        finishes = [event for event in self.events if isinstance(event, Finish)]
        assert finishes in ([], self.events[-1:]), "more than one, or something behind it"
        return finishes[0] if finishes else None


class Plugin:
    """Sends what it is given: events, awaitables to wait for, errors to raise; remembers whether it was closed."""

    def __init__(self, *steps: Any, last_words: Any = None) -> None:
        self.steps = steps
        self.last_words = last_words
        self.sent = 0
        self.closed = 0

    async def stream(self) -> AsyncGenerator[StreamEvent]:
        try:
            for step in self.steps:
                if isinstance(step, BaseException) or step is asyncio.CancelledError:
                    raise step
                if callable(step):
                    await step()
                else:
                    self.sent += 1
                    yield step
        finally:
            self.closed += 1
            if self.last_words:
                await self.last_words()


async def silence() -> None:
    await asyncio.Event().wait()


class VirtualTime(selectors.DefaultSelector):
    """Time goes on when nothing else does, and then at once: no test waits, and none fails on a busy machine."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        self.now += timeout
        return super().select(0)


def run(work: Coroutine[Any, Any, T]) -> T:
    def make_loop() -> asyncio.AbstractEventLoop:
        selector = VirtualTime()
        loop = asyncio.SelectorEventLoop(selector)
        loop.time = lambda: selector.now  # type: ignore[method-assign]
        return loop

    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(work)


async def listen(stream: Plugin | AsyncGenerator[StreamEvent], **limits: float) -> Heard:
    heard = Heard()
    stream = stream.stream() if isinstance(stream, Plugin) else stream
    try:
        async with aclosing(guarded(stream, Limits(**limits))) as events:
            async for event in events:
                heard.events.append(event)
    except ChatBackendError as error:
        heard.error = error
    assert (heard.finish is None) != (heard.error is None), "one verdict"
    return heard


async def test_it_works() -> None:
    sent = [Stage("queued", 2), TextDelta("Hel"), TextDelta("lo"), Finish("stop", Usage(1, 2))]
    plugin = Plugin(*sent)
    assert (await listen(plugin)).events == sent
    assert plugin.closed == 1


class TestVerdict:
    async def test_nothing_comes_after_the_finish(self) -> None:
        plugin = Plugin(TextDelta("ok"), Finish("stop"), TextDelta("never"), Finish("length"))
        assert (await listen(plugin)).events == [TextDelta("ok"), Finish("stop")]
        assert plugin.closed == 1

    async def test_an_end_without_finish_is_no_end(self) -> None:
        heard = await listen(Plugin(TextDelta("half")))
        assert (heard.text, type(heard.error)) == ("half", StreamInterrupted)

    @pytest.mark.parametrize("reason", ["tired", "", None, ["stop"], "STOP"])
    async def test_a_reason_outside_the_contract_is_no_end(self, reason: Any) -> None:
        heard = await listen(Plugin(TextDelta("half"), Finish(reason)))
        assert (heard.text, type(heard.error)) == ("half", StreamInterrupted)

    async def test_what_goes_wrong_after_the_finish_changes_nothing(self) -> None:
        async def stumble() -> None:
            raise ZeroDivisionError

        plugin = Plugin(TextDelta("ok"), Finish("stop"), last_words=stumble)
        assert (await listen(plugin)).finish == Finish("stop")

    async def test_the_finish_does_not_wait_for_the_plugin_to_close(self) -> None:
        may_close = asyncio.Event()
        plugin = Plugin(Finish("stop"), last_words=may_close.wait)
        async with aclosing(guarded(plugin.stream(), Limits())) as events:
            assert await anext(events) == Finish("stop")
            may_close.set()

    @pytest.mark.parametrize(
        ("usage", "kept"),
        [
            (Usage(0, 3), Usage(0, 3)),
            (Usage(-1, 3), None),
            (Usage(1, 2**31), None),
            (Usage(None, 3), None),  # type: ignore[arg-type]
            ({"input_tokens": 1}, None),
        ],
    )
    async def test_a_wrong_count_costs_only_the_count(self, usage: Any, kept: Usage | None) -> None:
        assert (await listen(Plugin(TextDelta("ok"), Finish("stop", usage)))).finish == Finish("stop", kept)

    async def test_a_plugin_that_gives_up_did_not_finish(self) -> None:
        heard = await listen(Plugin(TextDelta("half"), asyncio.CancelledError()))
        assert (heard.text, type(heard.error)) == ("half", StreamInterrupted)


class TestErrors:
    async def test_those_of_the_contract_pass(self) -> None:
        raised = BackendRateLimited("Slow down.", retry_after=3)
        heard = await listen(Plugin(TextDelta("half"), raised))
        assert (heard.text, heard.error) == ("half", raised)

    @pytest.mark.parametrize(
        "raised", [KeyError(SECRET), UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET), TimeoutError(SECRET)]
    )
    async def test_others_are_translated(self, raised: Exception, caplog: pytest.LogCaptureFixture) -> None:
        heard = await listen(Plugin(TextDelta("half"), raised))
        assert (heard.text, type(heard.error)) == ("half", ChatBackendError)
        assert str(heard.error) == f"The backend raised {type(raised).__name__}."
        assert "test_guard.py" in caplog.text  # where it was raised
        assert SECRET not in caplog.text

    @pytest.mark.parametrize("event", [TextDelta(None), TextDelta(b"x"), None, "text", 3])  # type: ignore[arg-type]
    async def test_what_is_no_event_of_the_contract(self, event: Any) -> None:
        plugin = Plugin(TextDelta("half"), event, TextDelta("never"), Finish("stop"))
        heard = await listen(plugin)
        assert (heard.text, type(heard.error)) == ("half", ChatBackendError)
        assert plugin.closed == 1

    async def test_a_stream_that_is_none(self) -> None:
        heard = await listen(iter([Finish("stop")]))  # type: ignore[arg-type]
        assert type(heard.error) is ChatBackendError

    async def test_kinds_of_events_that_come_later_pass(self) -> None:
        class Thought(StreamEvent):
            pass

        assert len((await listen(Plugin(Thought(), TextDelta("ok"), Finish("stop")))).events) == 3


class TestTime:
    @pytest.mark.parametrize(
        ("steps", "limit", "expected"),
        [
            ([], "first_text_seconds", BackendTimeout),
            ([Stage("reading")], "first_text_seconds", BackendTimeout),
            ([Stage("queued", 3)], "waiting_seconds", BackendTimeout),
            ([Stage("loading")], "waiting_seconds", BackendTimeout),
            ([TextDelta("")], "first_text_seconds", BackendTimeout),
            ([TextDelta("half")], "idle_seconds", AnswerTimeout),
            ([TextDelta("half"), Stage("queued", 1)], "idle_seconds", AnswerTimeout),
            ([], "total_seconds", BackendTimeout),
            ([Stage("queued")], "total_seconds", BackendTimeout),
            ([TextDelta("half")], "total_seconds", AnswerTimeout),
        ],
    )
    def test_a_silent_plugin_is_left(self, steps: list[Any], limit: str, expected: type[Exception]) -> None:
        plugin = Plugin(*steps, silence)
        heard = run(listen(plugin, **{limit: 5}))
        assert type(heard.error) is expected
        assert limit in heard.error.hint
        assert heard.text == ("half" if expected is AnswerTimeout else "")
        assert plugin.closed == 1

    def test_each_text_and_each_stage_starts_the_clock_anew(self) -> None:
        async def pause() -> None:
            await asyncio.sleep(0.9)

        steps = [step for number in range(4, 0, -1) for step in (pause, Stage("queued", number))]
        steps += [step for _ in range(4) for step in (pause, TextDelta("a"))]
        limits = {"first_text_seconds": 1, "waiting_seconds": 1, "idle_seconds": 1}
        assert run(listen(Plugin(*steps, Finish("stop")), **limits)).text == "aaaa"

    @pytest.mark.parametrize("event", [TextDelta(""), TextDelta("a"), Stage("queued", 1), StreamEvent()])
    @pytest.mark.parametrize("waits", [True, False])
    async def test_an_endless_plugin_is_left(self, event: StreamEvent, waits: bool) -> None:
        async def endless() -> AsyncGenerator[StreamEvent]:
            while True:
                if waits:
                    await asyncio.sleep(0)
                yield event

        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0)
                beats += 1

        heart = asyncio.create_task(beat())
        heard = await listen(endless(), total_seconds=0.1, characters=10**8)
        heart.cancel()
        assert isinstance(heard.error, BackendTimeout)
        assert beats > 20, "nobody else had a turn"

    def test_a_slow_reader_is_no_slow_backend(self) -> None:
        plugin = Plugin(*[TextDelta("a")] * 4 * AHEAD, Finish("stop"))

        async def read_slowly() -> int:
            text = 0
            async with aclosing(guarded(plugin.stream(), Limits(idle_seconds=1))) as events:
                async for event in events:
                    text += isinstance(event, TextDelta)
                    if text in {1, AHEAD, 2 * AHEAD}:
                        await asyncio.sleep(20)
                    assert plugin.sent <= text + AHEAD, "it reads ahead without a bound"
            return text

        assert run(read_slowly()) == 4 * AHEAD

    def test_a_shorter_limit_counts_at_once(self) -> None:
        async def timed() -> float:
            heard = await listen(Plugin(Stage("queued"), TextDelta("half"), silence), idle_seconds=5)
            assert isinstance(heard.error, AnswerTimeout)
            return asyncio.get_running_loop().time()

        assert run(timed()) == pytest.approx(5)


class TestLength:
    async def test_it_is_cut_at_the_cap(self) -> None:
        plugin = Plugin(TextDelta("abc"), TextDelta("def"), TextDelta("never"), Finish("stop"))
        heard = await listen(plugin, characters=5)
        assert (heard.text, heard.finish) == ("abcde", Finish("length"))
        assert (plugin.sent, plugin.closed) == (2, 1)

    async def test_one_that_just_fits_is_complete(self) -> None:
        heard = await listen(Plugin(TextDelta("abc"), TextDelta(""), Finish("stop")), characters=3)
        assert (heard.text, heard.finish) == ("abc", Finish("stop"))

    async def test_one_more_is_cut(self) -> None:
        heard = await listen(Plugin(TextDelta("abc"), TextDelta("d"), Finish("stop")), characters=3)
        assert heard.events == [TextDelta("abc"), Finish("length")]

    async def test_a_huge_delta_is_no_answer(self) -> None:
        plugin = Plugin(TextDelta("half"), TextDelta("x" * 11), Finish("stop"))
        heard = await listen(plugin, delta_characters=10)
        assert (heard.text, type(heard.error)) == ("half", StreamInterrupted)
        assert plugin.closed == 1


class TestClosing:
    async def test_leaving_closes_the_plugin(self) -> None:
        plugin = Plugin(TextDelta("a"), silence)
        async with aclosing(guarded(plugin.stream(), Limits())) as events:
            await anext(events)
        assert plugin.closed == 1

    async def test_cancelling_closes_the_plugin(self) -> None:
        plugin = Plugin(TextDelta("a"), silence)
        task = asyncio.create_task(listen(plugin))
        while not plugin.sent:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert plugin.closed == 1

    async def test_it_starts_runs_and_closes_in_one_task(self) -> None:
        tasks = set()

        async def note() -> None:
            tasks.add(asyncio.current_task())

        async with aclosing(
            guarded(Plugin(note, TextDelta("a"), silence, last_words=note).stream(), Limits())
        ) as events:
            await anext(events)
        assert len(tasks) == 1

    @pytest.mark.parametrize("steps", [(TextDelta("a"), silence), (TextDelta("a"), Finish("stop"))])
    async def test_one_that_never_closes_is_left_to_itself(
        self, steps: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(guard, "CLOSE_SECONDS", 0.05)
        release = asyncio.Event()

        async def linger() -> None:
            while not release.is_set():
                with suppress(asyncio.CancelledError):
                    await release.wait()

        started = time.monotonic()
        heard = await listen(Plugin(*steps, last_words=linger), idle_seconds=0.05)
        assert time.monotonic() - started < 1
        assert heard.text == "a"
        assert "did not close" in caplog.text
        gc.collect()
        assert guard._tasks, "asyncio alone would forget it"
        release.set()
        while guard._tasks:
            await asyncio.sleep(0)

    def test_one_that_goes_on_when_cancelled_has_no_more_say(self, caplog: pytest.LogCaptureFixture) -> None:
        closed = []

        async def stubborn() -> AsyncGenerator[StreamEvent]:
            yield TextDelta("a")
            with suppress(asyncio.CancelledError):
                await silence()
            try:
                while True:
                    yield TextDelta("b")
            finally:
                closed.append(True)

        heard = run(listen(stubborn()))
        assert (heard.text, type(heard.error), closed) == ("a", AnswerTimeout, [True])

        async def leave_early() -> None:
            async with aclosing(guarded(stubborn(), Limits())) as events:
                await anext(events)

        run(leave_early())
        assert closed == [True, True]
        assert "did not close" not in caplog.text

    def test_one_that_has_finished_may_tidy_up(self) -> None:
        tidied = []

        async def tidy() -> None:
            await asyncio.sleep(1)
            tidied.append(True)

        assert run(listen(Plugin(TextDelta("a"), Finish("stop"), last_words=tidy))).finish == Finish("stop")
        assert tidied == [True]

    async def test_one_that_was_never_read_is_never_started(self) -> None:
        plugin = Plugin(Finish("stop"))
        await guarded(plugin.stream(), Limits()).aclose()
        assert (plugin.sent, plugin.closed, guard._tasks) == (0, 0, set())


TEXTS = st.text(max_size=6)
STEPS = st.one_of(
    TEXTS.map(TextDelta),
    st.sampled_from([Stage("queued", 1), Stage("loading"), Stage("writing"), StreamEvent()]),
    st.sampled_from([Finish("stop", Usage(1, 1)), Finish("length"), Finish("tired")]),  # type: ignore[arg-type]
    st.sampled_from([None, TextDelta(3), silence, asyncio.CancelledError]),  # type: ignore[arg-type]
    st.sampled_from([BackendRateLimited("No."), KeyError("choices"), RecursionError()]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=12), cap=st.integers(1, 30), pauses=st.booleans(), burst=st.integers(0, 100))
def test_any_stream_ends_in_one_verdict(steps: list[Any], cap: int, pauses: bool, burst: int) -> None:
    steps = [TextDelta("a")] * burst + steps
    pause = [lambda: asyncio.sleep(0)] if pauses else []
    plugin = Plugin(*(each for step in steps for each in (*pause, step)))
    heard = run(listen(plugin, characters=cap))

    text, verdict = expected(steps, cap)
    assert heard.text == text
    assert (heard.finish or type(heard.error)) == verdict
    assert plugin.closed == 1


def expected(steps: list[Any], cap: int) -> tuple[str, Finish | type[Exception]]:
    """What the documents say, in a few lines: the model of the guard that it is compared with."""
    text = ""
    for step in steps:
        match step:
            case TextDelta(str(more)) if len(text) + len(more) > cap:
                return (text + more)[:cap], Finish("length")
            case TextDelta(str(more)):
                text += more
            case Finish("tired"):
                return text, StreamInterrupted
            case Finish():
                return text, step
            case StreamEvent() if not isinstance(step, TextDelta):
                pass
            case ChatBackendError():
                return text, type(step)
            case _ if step is silence:
                return text, AnswerTimeout if text else BackendTimeout
            case _ if step is asyncio.CancelledError:
                return text, StreamInterrupted
            case _:
                return text, ChatBackendError
    return text, StreamInterrupted


class TestSettings:
    request = ChatRequest(messages=(ChatMessage("user", "one two three"),))

    async def heard(self, alias: str = "echo") -> str:
        async with aclosing(chat_backends.stream(alias, self.request)) as events:
            return "".join([event.text async for event in events if isinstance(event, TextDelta)])

    async def test_the_way_in_is_guarded(self, settings: Any) -> None:
        assert await self.heard() == "one two three"
        settings.CHAT_LIMITS = {"characters": 5}
        assert await self.heard() == "one t"

    async def test_an_alias_has_limits_of_its_own(self, settings: Any) -> None:
        settings.CHAT_LIMITS = {"characters": 5, "idle_seconds": 9.0}
        settings.CHAT_BACKENDS = {"echo": {"BACKEND": "tests.fakes.EchoBackend", "LIMITS": {"characters": 3}}}
        assert await self.heard() == "one"
        assert chat_backends.limits("echo") == Limits(characters=3, idle_seconds=9.0)

    @pytest.mark.parametrize("limits", [{"chars": 3}, {"characters": 0}, {"idle_seconds": "3"}, []])
    def test_wrong_ones_raise_one_error(self, settings: Any, limits: Any) -> None:
        settings.CHAT_BACKENDS = {"echo": {"BACKEND": "tests.fakes.EchoBackend", "LIMITS": limits}}
        if limits == []:
            settings.CHAT_LIMITS = 3
        with pytest.raises(BackendMisconfigured, match="limits of 'echo'"):
            chat_backends.stream("echo", self.request)

    @pytest.mark.parametrize(
        ("limits", "ids", "words"),
        [
            ({"characters": 3, "total_seconds": 0.5}, [], ""),
            ({"idle_second": 3}, ["backends.E017"], "Did you mean 'idle_seconds'?"),
            ([], ["backends.E017"], "not a dictionary"),
            ({"characters": 1.5}, ["backends.E018"], "characters is not a whole number above 0"),
            ({"idle_seconds": 0}, ["backends.E018"], "idle_seconds"),
            ({"idle_seconds": float("nan")}, ["backends.E018"], "idle_seconds"),
            ({"idle_seconds": True}, ["backends.E018"], "idle_seconds"),
        ],
    )
    @pytest.mark.parametrize("of_alias", [True, False])
    def test_checks(self, settings: Any, limits: Any, ids: list[str], words: str, of_alias: bool) -> None:
        entry = {"BACKEND": "tests.fakes.EchoBackend"} | ({"LIMITS": limits} if of_alias else {})
        settings.CHAT_BACKENDS = {"echo": entry}
        settings.CHAT_LIMITS = {} if of_alias else limits
        found = check_chat_backends()
        assert [message.id for message in found] == ids
        assert words in " ".join(f"{message.msg} {message.hint}" for message in found)
