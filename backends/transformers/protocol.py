"""What a web process and an engine process say to each other: one JSON object a line, over a socket.

To the engine::

    {"op": "generate", "id": 7, "request": {…fields of GenerateRequest…}}
    {"op": "cancel", "id": 7}
    {"op": "status", "id": 8}

From the engine::

    {"state": "ready"}
    {"state": "failed", "error": [code, message, hint]}
    {"reading": [id, …], "events": [[id, text, finish reason or null, [input, output tokens] or null], …],
     "errors": [[id, code, message, hint], …]}          one line a round, for all streams; empty keys left out
    {"status": [id, {…}]}

Neither side imports more than the standard library and the contract for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from backends import exceptions
from backends.base import ChatMessage
from backends.exceptions import ChatBackendError, RequestRejected

_ERRORS: dict[str, type[ChatBackendError]] = {
    error.code: error
    for error in vars(exceptions).values()
    if isinstance(error, type) and issubclass(error, ChatBackendError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What an engine process is started with."""

    model: str
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    context_window: int | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """One answer to write, nothing left open."""

    messages: tuple[ChatMessage, ...]
    temperature: float
    """0 is greedy."""
    top_p: float
    repetition_penalty: float
    """1 is none; counted over prompt and answer, as transformers does."""
    max_output_tokens: int
    stop: tuple[str, ...] = field(default=())
    seed: int | None = None

    def validate(self) -> None:
        """Raise RequestRejected unless all figures are in their ranges."""
        wrong = [
            message
            for is_right, message in (
                (self.messages, "there is no message"),
                (0 <= self.temperature <= 2, f"temperature {self.temperature} is not within 0..2"),
                (0 < self.top_p <= 1, f"top_p {self.top_p} is not within 0..1"),
                (self.repetition_penalty > 0, f"repetition_penalty {self.repetition_penalty} is not above 0"),
                (self.max_output_tokens > 0, f"max_output_tokens {self.max_output_tokens} is not above 0"),
            )
            if not is_right
        ]
        if wrong:
            raise RequestRejected(f"The request cannot be answered: {', '.join(wrong)}.")


def encode_line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode_line(line: bytes) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(line)
    return message


def encode_options(options: EngineOptions) -> str:
    return json.dumps(asdict(options))


def decode_options(text: str) -> EngineOptions:
    return EngineOptions(**json.loads(text))


def encode_request(request: GenerateRequest) -> dict[str, Any]:
    return asdict(request)


def decode_request(fields: Mapping[str, Any]) -> GenerateRequest:
    """Return a validated request.

    Raises:
        RequestRejected: a field is missing, unknown, of the wrong kind or out of its range.
    """
    try:
        messages = tuple(ChatMessage(**message) for message in fields["messages"])
        request = GenerateRequest(**{**fields, "messages": messages, "stop": tuple(fields["stop"])})
        request.validate()
    except (KeyError, TypeError) as error:
        raise RequestRejected(f"The engine does not understand the request: {error}.") from error
    return request


def encode_error(error: ChatBackendError) -> tuple[str, str, str]:
    return error.code, str(error), error.hint


def decode_error(code: str, message: str, hint: str) -> ChatBackendError:
    return _ERRORS.get(code, ChatBackendError)(message, hint=hint)
