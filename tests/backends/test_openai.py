"""OpenAIBackend against a scripted server over real HTTP."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from backends.base import ChatMessage, ChatRequest, Finish, StreamEvent, TextDelta, Usage
from backends.exceptions import (
    AnswerTimeout,
    AuthenticationFailed,
    BackendMisconfigured,
    BackendRateLimited,
    BackendTimeout,
    BackendUnavailable,
    ChatBackendError,
    ContextLengthExceeded,
    ModelNotFound,
    RequestRejected,
    StreamInterrupted,
)
from backends.guard import Limits, guarded
from backends.openai import OpenAIBackend
from backends.openai.backend import GO_ON
from backends.testing import ChatBackendConformance
from tests.backends.fake_openai import FakeOpenAI
from tests.backends.fake_openai_scripts import SCRIPTS

KEY = "sk-swordfish"
SECRET = "marzipan"
NOWHERE = "http://127.0.0.1:9/v1"
TEXT = "Hello 안녕 👋🏽!"


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as running:
        yield running


def make_backend(server: FakeOpenAI | None = None, **options: Any) -> OpenAIBackend:
    options = {"api_key": KEY, "base_url": server.base_url if server else NOWHERE, "max_retries": 0, **options}
    return OpenAIBackend(**{"model": "fake", "timeout": 5.0, **options})


def ask(prompt: str, **options: Any) -> ChatRequest:
    return ChatRequest(messages=(ChatMessage("user", prompt),), **options)


async def collect(backend: OpenAIBackend, request: ChatRequest | str) -> list[StreamEvent]:
    request = ask(request) if isinstance(request, str) else request
    try:
        async with aclosing(backend.stream(request)) as stream:
            return [event async for event in stream]
    finally:
        await backend.aclose()


async def fail(backend: OpenAIBackend, prompt: str, **limits: float) -> tuple[str, ChatBackendError]:
    """Return the text that came before the error, and the error; the guard holds the clocks, as on the site."""
    text = ""
    try:
        async with aclosing(guarded(backend.stream(ask(prompt)), Limits(**limits))) as stream:
            async for event in stream:
                assert isinstance(event, TextDelta), f"{prompt} finished with {event}"
                text += event.text
    except ChatBackendError as error:
        return text, error
    finally:
        await backend.aclose()
    raise AssertionError(f"{prompt} neither finished nor failed")


async def hung_up(server: FakeOpenAI) -> bool:
    return await asyncio.to_thread(server.received[0].hung_up.wait, 1)


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_it_works(server: FakeOpenAI) -> None:
    events = await collect(make_backend(server), "ok please")

    assert events == [
        *map(TextDelta, ("Hel", "lo ", "안녕", " 👋🏽", "!")),
        Finish("stop", Usage(input_tokens=7, output_tokens=5)),
    ]
    (request,) = server.received
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.body == {
        "model": "fake",
        "messages": [{"role": "user", "content": "ok please"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


class TestConformance(ChatBackendConformance):
    long_request = ask("endless")
    multibyte_request = ask("dribble 안녕하세요 👋🏽")
    timeout = 10.0

    @pytest.fixture(autouse=True)
    def _server(self, server: FakeOpenAI) -> None:
        self.server = server

    def make_backend(self) -> OpenAIBackend:
        return make_backend(self.server)

    def make_broken_backend(self) -> OpenAIBackend:
        return make_backend()


class TestRequest:
    async def test_it_sends_what_is_set(self, server: FakeOpenAI) -> None:
        messages = (ChatMessage("system", "Be brief."), ChatMessage("user", "a"), ChatMessage("assistant", "b"))
        request = ChatRequest(
            messages=(*messages, ChatMessage("user", "c")),
            model="other",
            temperature=0,
            top_p=0.5,
            max_output_tokens=9,
            stop=("END", "\n"),
            seed=0,
        )
        options = {"extra_body": {"reasoning_effort": "low", "top_p": 0.4, "stream": False}, "include_usage": False}
        await collect(make_backend(server, **options), request)
        assert server.received[0].body == {
            "model": "other",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ],
            "temperature": 0,
            "top_p": 0.4,
            "max_tokens": 9,
            "stop": ["END", "\n"],
            "seed": 0,
            "reasoning_effort": "low",
            "stream": True,
        }

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({}, "max_completion_tokens"),
            ({"base_url": NOWHERE}, "max_tokens"),
            ({"base_url": NOWHERE, "max_output_tokens_field": "max_new_tokens"}, "max_new_tokens"),
        ],
    )
    def test_the_name_of_the_token_limit(self, options: dict[str, str], name: str) -> None:
        assert OpenAIBackend(model="m", **options)._body(ask("x", max_output_tokens=9))[name] == 9

    @pytest.mark.parametrize("is_known", [False, True])
    async def test_an_answer_that_was_cut_is_continued(self, server: FakeOpenAI, is_known: bool) -> None:
        begun = ({"role": "user", "content": "ok"}, {"role": "assistant", "content": "Once up"})
        request = ChatRequest(messages=tuple(ChatMessage(**turn) for turn in begun))
        body = make_backend(server, continue_final_message=is_known)._body(request)
        assert body["messages"][:2] == list(begun)
        if is_known:
            assert len(body["messages"]) == 2
            assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
        else:
            assert body["messages"][2:] == [{"role": "user", "content": GO_ON}]
            assert "continue_final_message" not in body

    async def test_it_sends_headers(self, server: FakeOpenAI) -> None:
        await collect(make_backend(server, organization="org-1", headers={"X-Title": "Chat"}), "ok")
        headers = server.received[0].headers
        assert (headers["openai-organization"], headers["x-title"]) == ("org-1", "Chat")

    async def test_the_environment_has_no_say(self, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
            monkeypatch.setenv(f"OPENAI_{name}", "from-the-environment")
        monkeypatch.setenv("OPENAI_BASE_URL", NOWHERE)
        monkeypatch.setenv("HTTP_PROXY", NOWHERE)
        await collect(make_backend(server, api_key=""), "ok")
        assert "from-the-environment" not in server.received[0].headers.values()

    async def test_half_characters_in_a_prompt_are_mended(self, server: FakeOpenAI) -> None:
        await collect(make_backend(server), "ok \ud83d\ude00 \ud83d")
        assert server.received[0].prompt == "ok 😀 \ufffd"


class TestAnswer:
    @pytest.mark.parametrize(
        ("script", "text", "finish"),
        [
            ("empty_first", "ok", Finish("stop")),
            ("odd_chunks", "ok", Finish("stop")),
            ("usage_everywhere", "ok", Finish("stop", Usage(7, 5))),
            ("no_usage", "ok", Finish("stop")),
            ("length", "cut sho", Finish("length")),
            ("content_filter", "I must", Finish("content_filter")),
            ("finish_with_text", "ok", Finish("stop")),
            ("no_done", "ok", Finish("stop")),
            ("crlf", TEXT, Finish("stop", Usage(7, 5))),
            ("dribble", "안녕 👋🏽", Finish("stop")),
            ("one_write", TEXT, Finish("stop", Usage(7, 5))),
            ("comments", "ok", Finish("stop")),
            ("two_lines", "ok", Finish("stop")),
            ("surrogates", "a😀bc\ufffdde\ufffd", Finish("stop")),
            ("nul", "a\ufffdb", Finish("stop")),
            ("after_done", "ok", Finish("stop")),
            ("after_finish", "ok", Finish("stop", Usage(7, 5))),
            ("cut_after_finish", "ok", Finish("stop")),
            ("error_after_finish", "ok", Finish("stop")),
        ],
    )
    async def test_an_answer(self, server: FakeOpenAI, script: str, text: str, finish: Finish) -> None:
        events = await collect(make_backend(server), script)
        assert text_of(events) == text
        assert [event for event in events if isinstance(event, Finish)] == [finish] == events[-1:]
        assert all(event.text.encode() for event in events if isinstance(event, TextDelta))

    @pytest.mark.parametrize(("script", "limit"), [("stall_after_finish", 3.0), ("stall_after_done", 0.6)])
    async def test_nobody_waits_long_after_the_verdict(self, server: FakeOpenAI, script: str, limit: float) -> None:
        started = time.monotonic()
        assert (await collect(make_backend(server), script))[-1] == Finish("stop")
        assert time.monotonic() - started < limit

    @pytest.mark.parametrize(
        ("script", "text", "expected"),
        [
            ("tool_calls", "", RequestRejected),
            ("function_call", "", RequestRejected),
            ("unknown_finish", "half", StreamInterrupted),
            ("odd_finish", "half", StreamInterrupted),
            ("no_finish", "half", StreamInterrupted),
            ("truncated", "half", StreamInterrupted),
            ("empty", "", StreamInterrupted),
            ("cut", "half", StreamInterrupted),
            ("cut_mid_line", "half", StreamInterrupted),
            ("bad_json", "half", StreamInterrupted),
            ("bad_json_in_one_write", "half", StreamInterrupted),
            ("bad_utf8", "half", StreamInterrupted),
            ("deep_json", "", StreamInterrupted),
            ("not_an_object", "", StreamInterrupted),
            ("long_line", "", StreamInterrupted),
            ("error_in_stream", "half", BackendUnavailable),
            ("error_string", "", BackendUnavailable),
            ("rate_limit_in_stream", "", BackendRateLimited),
            ("too_long_in_stream", "", ContextLengthExceeded),
            ("html", "", BackendUnavailable),
            ("json_error", "", BackendUnavailable),
            ("json_answer", "", BackendUnavailable),
            ("gzip", "", BackendUnavailable),
            ("not_http", "", BackendUnavailable),
        ],
    )
    async def test_no_answer(self, server: FakeOpenAI, script: str, text: str, expected: type[Exception]) -> None:
        came, error = await fail(make_backend(server), script)
        assert type(error) is expected
        assert came == text
        assert len(server.received) == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("script", "expected", "hint"),
        [
            ("echo_401", AuthenticationFailed, "api_key"),
            ("forbidden", AuthenticationFailed, "may use this model"),
            ("not_found", ModelNotFound, "base_url"),
            ("timeout", BackendTimeout, ""),
            ("too_many", BackendRateLimited, ""),
            ("quota", BackendRateLimited, "exhausted"),
            ("payment", BackendRateLimited, "exhausted"),
            ("too_long", ContextLengthExceeded, ""),
            ("too_long_vllm", ContextLengthExceeded, ""),
            ("too_long_llama", ContextLengthExceeded, ""),
            ("bad_request", RequestRejected, "include_usage"),
            ("broken", BackendUnavailable, ""),
            ("big_error", BackendUnavailable, ""),
            ("gzip_error", BackendUnavailable, ""),
        ],
    )
    async def test_a_status(self, server: FakeOpenAI, script: str, expected: type[Exception], hint: str) -> None:
        _, error = await fail(make_backend(server), script)
        assert type(error) is expected
        assert hint in error.hint
        assert type(error.__cause__).__module__.startswith("openai")

    async def test_nobody_listens(self) -> None:
        _, error = await fail(make_backend(), "ok")
        assert type(error) is BackendUnavailable
        assert "base_url" in error.hint

    async def test_a_redirect_is_not_followed(self, server: FakeOpenAI) -> None:
        with FakeOpenAI() as elsewhere:
            server.redirect_to = elsewhere.base_url + "/chat/completions"
            _, error = await fail(make_backend(server, max_retries=2), "redirect")
        assert type(error) is BackendUnavailable
        assert "redirects" in str(error)
        assert (len(server.received), elsewhere.received) == (1, [])

    @pytest.mark.parametrize("script", [name for name in SCRIPTS if name.startswith("echo_")])
    async def test_secrets_stay_inside(self, server: FakeOpenAI, caplog: pytest.LogCaptureFixture, script: str) -> None:
        caplog.set_level(logging.INFO)
        # aiohttp 3.14 says nothing about a chunk header that is none (echo_bad_framing): the guard's clock ends it.
        _, error = await fail(make_backend(server), f"{script} {SECRET}", first_text_seconds=1)
        told = "".join([*traceback.format_exception(error), caplog.text, error.hint, *map(repr, chain(error))])
        assert SECRET in server.received[0].prompt
        assert (KEY in told, SECRET in told) == (False, False)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class TestRetries:
    @pytest.mark.parametrize("script", ["once_503", "once_dropped"])
    async def test_a_hiccup_is_not_seen(self, server: FakeOpenAI, script: str) -> None:
        assert text_of(await collect(make_backend(server, max_retries=1), script)) == TEXT
        assert len(server.received) == 2

    @pytest.mark.parametrize(
        ("script", "requests"),
        [
            ("broken", 2),
            ("too_many", 2),
            ("too_many_1", 2),
            ("too_many_110", 1),
            ("too_many_date", 1),
            ("quota", 1),
            ("payment", 1),
            ("bad_request", 1),
            ("echo_401", 1),
            ("html", 1),
            ("cut", 1),
        ],
    )
    async def test_how_often(self, server: FakeOpenAI, script: str, requests: int) -> None:
        await fail(make_backend(server, max_retries=1), script)
        assert len(server.received) == requests

    @pytest.mark.parametrize(("script", "seconds"), [("too_many", None), ("too_many_1", 1), ("too_many_110", 110)])
    async def test_it_says_when_to_come_back(self, server: FakeOpenAI, script: str, seconds: float | None) -> None:
        _, error = await fail(make_backend(server), script)
        assert error.retry_after == seconds

    async def test_all_retries_are_within_the_timeout(self, server: FakeOpenAI) -> None:
        _, error = await fail(make_backend(server, max_retries=10, timeout=0.5), "broken")
        assert type(error) is BackendUnavailable  # not BackendTimeout: the server did say what is wrong
        assert len(server.received) in {1, 2}


class TestTime:
    @pytest.mark.parametrize(
        ("script", "text", "expected"),
        [
            ("stall_after_headers", "", BackendTimeout),
            ("stall_between", "half", AnswerTimeout),
            ("drip", "", BackendTimeout),
        ],
    )
    async def test_a_silent_server_is_left(
        self, server: FakeOpenAI, script: str, text: str, expected: type[Exception]
    ) -> None:
        started = time.monotonic()
        came, error = await fail(make_backend(server), script, first_text_seconds=0.3, idle_seconds=0.3)
        assert (type(error), came) == (expected, text)
        assert time.monotonic() - started < 1.5
        assert await hung_up(server)

    async def test_a_server_that_does_not_begin_is_left(self, server: FakeOpenAI) -> None:
        _, error = await fail(make_backend(server, timeout=0.3), "stall")
        assert type(error) is BackendTimeout
        assert "timeout option" in error.hint
        assert await hung_up(server)

    async def test_closing_hangs_up(self, server: FakeOpenAI) -> None:
        backend = make_backend(server)
        async with aclosing(backend.stream(ask("endless"))) as stream:
            await anext(stream)
        assert await hung_up(server)
        await backend.aclose()

    @pytest.mark.parametrize("script", ["stall", "stall_after_headers", "endless"])
    async def test_cancelling_hangs_up(self, server: FakeOpenAI, script: str) -> None:
        backend = make_backend(server)
        task = asyncio.create_task(collect(backend, script))
        while not server.received:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await hung_up(server)


class TestConnections:
    async def test_a_finished_answer_leaves_its_connection_to_the_next(self, server: FakeOpenAI) -> None:
        backend = make_backend(server)
        for _ in range(3):
            async with aclosing(backend.stream(ask("ok"))) as stream:
                assert [event async for event in stream]
        await backend.aclose()
        assert server.connections == 1

    async def test_many_streams_at_once(self, server: FakeOpenAI) -> None:
        backend = make_backend(server)

        async def first_text() -> AsyncIterator[StreamEvent]:
            stream = backend.stream(ask("hold"))
            assert await anext(stream) == TextDelta("first ")
            return stream

        streams = await asyncio.gather(*(first_text() for _ in range(300)))
        server.release()
        for stream in streams:
            assert [event async for event in stream] == [TextDelta("last"), Finish("stop")]
        assert server.connections == 300
        await backend.aclose()

    async def test_aclose_ends_running_streams(self, server: FakeOpenAI) -> None:
        backend = make_backend(server)
        async with aclosing(backend.stream(ask("stall_between"))) as stream:
            await anext(stream)
            await backend.aclose()
            with pytest.raises(StreamInterrupted):
                await anext(stream)

    def test_an_event_loop_that_ended_is_forgotten(self, server: FakeOpenAI) -> None:
        backend = make_backend(server)
        asyncio.run(collect(backend, "ok"))
        asyncio.run(collect(backend, "ok"))
        assert not backend._connections

    def test_the_sdk_is_imported_by_the_first_stream(self) -> None:
        code = (
            "import sys; from backends.openai import OpenAIBackend; "
            "OpenAIBackend(model='m').check(); sys.exit('openai' in sys.modules or 'httpx2' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestModels:
    async def test_it_lists_them(self, server: FakeOpenAI) -> None:
        backend = make_backend(server)
        assert await backend.list_models() == ["fake-large", "fake"]
        await backend.aclose()
        assert (server.received[0].method, server.received[0].path) == ("GET", "/v1/models")

    @pytest.mark.parametrize(
        ("script", "expected"),
        [("html", BackendUnavailable), ("forbidden", AuthenticationFailed), ("stall", BackendTimeout)],
    )
    async def test_it_fails_in_our_words(self, server: FakeOpenAI, script: str, expected: type[Exception]) -> None:
        server.script = script
        backend = make_backend(server, timeout=0.3)
        with pytest.raises(ChatBackendError) as failed:
            await backend.list_models()
        await backend.aclose()
        assert failed.type is expected

    async def test_a_list_of_another_shape_is_empty(self, server: FakeOpenAI) -> None:
        server.script = "json_answer"
        backend = make_backend(server)
        assert await backend.list_models() == []
        await backend.aclose()


class TestCheck:
    @pytest.mark.parametrize(
        ("options", "ids"),
        [
            ({"api_key": "sk-1"}, []),
            ({"base_url": "http://localhost:8000/v1"}, []),
            ({}, ["backends.E006"]),
            ({"base_url": "https://api.openai.com"}, ["backends.E006"]),
            ({"api_key": "sk-1\n"}, ["backends.E006"]),
            ({"api_key": "sk-…"}, ["backends.E006"]),
            ({"api_key": None, "base_url": NOWHERE}, ["backends.E006"]),
            ({"api_key": "sk-1", "headers": {"X-Title": "a\r\nb"}}, ["backends.E006"]),
            ({"base_url": "localhost:8000/v1"}, ["backends.E007"]),
            ({"base_url": "ftp://localhost/v1"}, ["backends.E007"]),
            ({"base_url": "http://[::1/v1"}, ["backends.E007"]),
            ({"base_url": "http://exa mple/v1"}, ["backends.E007"]),
            ({"base_url": None}, ["backends.E007"]),
            ({"base_url": NOWHERE, "timeout": 0}, ["backends.E008"]),
            ({"base_url": NOWHERE, "timeout": "30"}, ["backends.E008"]),
            ({"base_url": NOWHERE, "connect_timeout": 1e9}, ["backends.E008"]),
            ({"base_url": NOWHERE, "max_retries": -1}, ["backends.E008"]),
        ],
    )
    def test_it_finds_what_is_wrong(self, options: dict[str, Any], ids: list[str]) -> None:
        found = OpenAIBackend(model="m", **options).check()
        assert [message.id for message in found] == ids
        assert all(message.hint for message in found)
        assert "sk-" not in str(found)

    async def test_a_wrong_option_is_never_sent(self, server: FakeOpenAI) -> None:
        _, error = await fail(make_backend(server, api_key=f"{KEY}\n"), "ok")
        assert type(error) is BackendMisconfigured
        assert (server.received, KEY in str(error) + error.hint) == ([], False)

    async def test_an_address_that_is_none(self) -> None:
        _, error = await fail(make_backend(base_url="http://exa<mple:8000/v1"), "ok")
        assert isinstance(error, BackendMisconfigured | BackendUnavailable)

    @pytest.mark.parametrize(
        ("base_url", "away"),
        [
            ("https://api.openai.com/v1", True),
            ("http://192.168.0.7:8000/v1", True),
            ("http://localhost.example.com/v1", True),
            ("http://localhost:8000/v1", False),
            ("http://127.0.0.1:8000/v1", False),
            ("http://[::1]:8000/v1", False),
        ],
    )
    def test_sends_data_away(self, base_url: str, away: bool) -> None:
        assert OpenAIBackend(model="m", base_url=base_url).sends_data_away is away
