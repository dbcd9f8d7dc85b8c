"""What ``FakeOpenAI`` can do: scripts by name."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


class Action(Enum):
    CUT = auto()
    """The connection is gone, in the middle of things."""
    STALL = auto()
    """Nothing more happens until the client hangs up."""
    HOLD = auto()
    """Nothing more happens until the test calls ``server.release()``."""


@dataclass
class Received:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when the client closed the connection before the answer was over."""

    @property
    def prompt(self) -> str:
        return self.body["messages"][-1]["content"] if "messages" in self.body else ""

    @property
    def secrets(self) -> str:
        return f"{self.headers.get('authorization')} {self.prompt}"


Step = bytes | float | Action | Callable[[Received], bytes]
"""Send this, as one HTTP chunk; sleep that long; do that; send what this makes of the request."""


@dataclass(frozen=True)
class Script:
    """What the server does with a request."""

    steps: tuple[Step, ...] = ()
    status: int = 200
    kind: str = "text/event-stream; charset=utf-8"
    headers: tuple[str, ...] = ()
    raw: bool = False
    """The steps are all that is sent, no HTTP around them."""
    endless: bool = False
    """The steps come again and again."""
    once: bool = False
    """Only the first request gets it, later ones get ``ok``."""


def event(delta: dict[str, Any] | None, finish: str | None = None, **extra: Any) -> bytes:
    """One chunk of an answer; ``None`` makes the one that has no choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "fake", "choices": choices}
    return f"data: {json.dumps(chunk | extra)}\n\n".encode()


def text(content: str) -> bytes:
    return event({"content": content})


def answer(*steps: Step, **options: Any) -> Script:
    """An answer that ends as it should."""
    return Script((*steps, STOP, DONE), **options)


def error(status: int, message: str = "No.", *, headers: tuple[str, ...] = (), **details: Any) -> Script:
    body = json.dumps({"error": {"message": message, **details}}).encode()
    return Script((body,), status, "application/json", headers)


def byte_by_byte(data: bytes) -> tuple[bytes, ...]:
    return tuple(bytes([byte]) for byte in data)


ROLE = event({"role": "assistant", "content": ""})
STOP = event({}, "stop")
DONE = b"data: [DONE]\n\n"
OK = (ROLE, *map(text, ("Hel", "lo ", "안녕", " 👋🏽", "!")), STOP, event(None, usage=USAGE), DONE)
RAW_UTF8 = 'data: {"choices": [{"delta": {"content": "안녕 👋🏽"}}]}\n\n'.encode()

SCRIPTS: dict[str, Script] = {
    "ok": Script(OK),
    "hold": answer(text("first "), Action.HOLD, text("last")),
    "endless": Script((text("word "), 0.01), endless=True),
    # Shapes of a good answer
    "empty_first": answer(event(None), event({"role": "assistant"}), event({"content": None}), text("ok")),
    "odd_chunks": answer(b'data: {"choices": [{}]}\n\n', b'data: {"choices": null}\n\n', b"data:\n\n", text("ok")),
    "usage_everywhere": Script((event({"content": "ok"}, usage=USAGE), event({}, "stop", usage=USAGE), DONE)),
    "no_usage": answer(ROLE, text("ok")),
    "length": Script((text("cut sho"), event({}, "length"), DONE)),
    "content_filter": Script((text("I must"), event({}, "content_filter"), DONE)),
    "finish_with_text": Script((event({"content": "ok"}, "stop"), DONE)),
    "no_done": Script((text("ok"), STOP)),
    "crlf": Script(tuple(data.replace(b"\n", b"\r\n") for data in OK)),
    "slow": answer(*(step for byte in byte_by_byte(RAW_UTF8) for step in (byte, 0.002))),
    "dribble": answer(*byte_by_byte(RAW_UTF8)),
    "one_write": Script((b"".join(OK),)),
    "comments": answer(b": hello\n\n", b"id: 1\n: still there\n\n", b"event: x\nretry: 1\n\n", text("ok")),
    "two_lines": answer(b'data: {"choices": [{"delta":\ndata: {"content": "ok"}}]}\n\n'),
    "surrogates": answer(text("a\ud83d"), text("\ude00b"), text("c\ud83d"), text("d"), text("e\ud83d")),
    "nul": answer(text("a\0b")),
    "after_done": answer(text("ok"), STOP, DONE, text("never"), b"data: nonsense\n\n"),
    "after_finish": Script((text("ok"), STOP, text("never"), event(None, usage=USAGE), DONE)),
    "cut_after_finish": Script((text("ok"), STOP, 0.05, Action.CUT)),
    "error_after_finish": Script((text("ok"), STOP, b'data: {"error": {"code": 429}}\n\n')),
    "stall_after_finish": Script((text("ok"), STOP, Action.STALL)),
    "stall_after_done": answer(text("ok"), STOP, DONE, Action.STALL),
    # Answers that are none
    "tool_calls": Script((event({"tool_calls": [{"index": 0}]}), event({}, "tool_calls"), DONE)),
    "function_call": Script((event({}, "function_call"), DONE)),
    "unknown_finish": Script((text("half"), event({}, "tired"), DONE)),
    "odd_finish": Script((text("half"), event({}, {"reason": "stop"}), DONE)),  # type: ignore[arg-type]
    "no_finish": Script((text("half"), DONE)),
    "truncated": Script((text("half"),)),
    "empty": Script(),
    "cut": Script((text("half"), 0.05, Action.CUT)),
    "cut_before_text": Script((0.05, Action.CUT)),
    "cut_mid_line": Script((text("half"), STOP[:40])),
    "bad_json": answer(text("half"), b'data: {"choices": [\n\n'),
    "bad_json_in_one_write": Script((text("half") + b'data: {"choices": [\n\n',)),
    "bad_utf8": answer(text("half"), b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n'),
    "deep_json": answer(b"data: " + b"[" * 100_000 + b"\n\n"),
    "not_an_object": answer(b"data: 42\n\n"),
    "long_line": answer(*(b"data: ", b" " * (1 << 20), b" ")),
    "huge_delta": Script((text("half"), lambda request: text("x" * (10 << 20)), STOP, DONE)),
    "flood": Script((text("word " * 20),), endless=True),
    "error_in_stream": Script((text("half"), b'data: {"error": {"message": "boom", "type": "server_error"}}\n\n')),
    "error_string": Script((b'data: {"error": "boom"}\n\n',)),
    "rate_limit_in_stream": Script((b'data: {"error": {"message": "slow down", "code": 429}}\n\n',)),
    "too_long_in_stream": Script((b'data: {"error": {"message": "maximum context length is 8"}}\n\n',)),
    "html": Script((b"<html>Sign in to the guest Wi-Fi</html>",), kind="text/html"),
    "json_error": error(200),
    "json_answer": Script((b'{"choices": [{"message": {"content": "ok"}}]}',), kind="application/json"),
    "gzip": Script(headers=("Content-Encoding: gzip",)),
    "not_http": Script((b"SSH-2.0-OpenSSH_9.9\r\n", 0.05), raw=True),
    "redirect": Script(status=307, headers=("Location: {redirect_to}",)),
    # Refusals
    "echo_401": Script((lambda request: json.dumps({"error": {"message": request.secrets}}).encode(),), 401),
    "echo_400": Script((lambda request: json.dumps({"error": {"message": request.secrets}}).encode(),), 400),
    "echo_500_text": Script((lambda request: request.secrets.encode(),), 500, "text/plain"),
    "echo_in_stream": Script((lambda request: event(None, error={"message": request.secrets}),)),
    "echo_bad_chunk": Script((lambda request: f"data: {request.secrets}\n\n".encode(),)),
    "echo_bad_utf8": Script((lambda request: f"data: {request.secrets}".encode() + b"\xff\n\n",)),
    "echo_not_http": Script((lambda request: f"{request.secrets}\r\n\r\n".encode(), 0.05), raw=True),
    "echo_bad_framing": Script(
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            0.05,
            lambda request: f"{request.secrets}\r\n".encode(),
        ),
        raw=True,
    ),
    "payment": error(402),
    "forbidden": error(403),
    "not_found": error(404),
    "timeout": error(408),
    "too_many": error(429),
    "too_many_1": error(429, headers=("Retry-After: 1",)),
    "too_many_110": error(429, headers=("Retry-After: 110",)),
    "too_many_date": error(429, headers=("Retry-After: Fri, 31 Dec 2100 23:59:59 GMT",)),
    "quota": error(429, code="insufficient_quota"),
    "too_long": error(400, code="context_length_exceeded"),
    "too_long_vllm": error(400, "This model's maximum context length is 8 tokens. However, you requested 9."),
    "too_long_llama": error(400, "the request exceeds the available context size", type="exceed_context_size_error"),
    "bad_request": error(400, "stream_options is not allowed"),
    "broken": error(500),
    "unavailable": error(503),
    "html_502": Script((b"<html>Bad Gateway</html>",), 502, "text/html"),
    "big_error": Script((b"x" * (8 << 20),), 500, "text/plain"),
    "gzip_error": Script((b"not gzip",), 500, headers=("Content-Encoding: gzip",)),
    "once_503": Script(status=503, once=True),
    "once_429": Script(status=429, headers=("Retry-After: 0.1",), once=True),
    "dropped": Script((Action.CUT,), raw=True),
    "once_dropped": Script((Action.CUT,), raw=True, once=True),
    # Waiting
    "stall": Script((Action.STALL,), raw=True),
    "stall_after_headers": Script((Action.STALL,)),
    "stall_between": Script((text("half"), Action.STALL)),
    "drip": Script((b": keep-alive\n\n", event({"content": ""}), 0.02), endless=True),
    "comments_for_ever": Script((b": keep-alive\n\n", 0.02), endless=True),
    "line_for_ever": Script((b" ", 0.02), endless=True),
    "models": Script((b'{"object": "list", "data": [{"id": "fake-large"}, {"id": "fake"}]}',), kind="application/json"),
}
