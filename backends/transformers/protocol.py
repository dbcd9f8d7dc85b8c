"""What web processes, the engine service and its engine processes say to each other: one JSON object a line.

A web process to the service (``engine`` is ``encode_options`` of the engine that is meant)::

    {"op": "hello", "token": "…"}                                       first, and over TCP only
    {"op": "generate", "id": 7, "engine": "…", "request": {…fields of GenerateRequest…}}
    {"op": "cancel", "id": 7, "engine": "…"}
    {"op": "status", "id": 8}
    {"op": "load", "id": 9, "engine": "…"}
    {"op": "unload", "id": 10, "engine": "…"}

The service to a web process. The first line is ``welcome``, after which a web process may ask, or ``refused``, after
which the connection is closed. An error has a fourth part where it is known in how many seconds asking again may help.
The ids of a connection grow, so that ``upto`` tells what was asked before an engine went down from what came after::

    {"welcome": {"pid": 4711}}
    {"refused": [code, message, hint]}
    {"engine": "…", "loading": 0.4}          how far (null: unknown), for all that this connection asked of this engine
    {"engine": "…", "down": [code, message, hint], "upto": 9}    all that it asked of this engine up to id 9 has failed
    {"done": [9, {…}]}                                     what a status, load or unload brought
    {"errors": [[id, code, message, hint], …]}             these requests have failed, no others
    …and what an engine says to this connection

The service to an engine, whose connections have numbers from 1 on::

    {"op": "generate", "to": 3, "id": 7, "request": {…}}
    {"op": "cancel", "to": 3, "id": 7}
    {"op": "forget", "to": 3}                              the connection is gone, and with it all that it asked
    {"op": "status"}

An engine to the service: the number of the connection, a space, and a line that is passed on as it is. One line for
each decode step and connection, for all of its streams, with empty keys left out::

    3 {"stages": [[id, stage, position or null], …],
       "confidence": [[id, probability], …],
       "events": [[id, text, finish reason or null, [input tokens, output tokens] or null], …],
       "errors": [[id, code, message, hint], …]}

Number 0 is the service itself::

    0 {"loading": 0.4}
    0 {"ready": {…figures, as Scheduler.status has them…}}
    0 {"failed": [code, message, hint]}
    0 {"idle": 12}                    nothing is left to do, after so many generates
    0 {"status": {…the same…}}

No side imports more than the standard library and the contract for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from backends import exceptions
from backends.base import ChatMessage
from backends.exceptions import ChatBackendError, RequestRejected

SERVICE = 0
"""The number that stands for the service itself among an engine's connections."""

_ERRORS: dict[str, type[ChatBackendError]] = {
    error.code: error
    for error in vars(exceptions).values()
    if isinstance(error, type) and issubclass(error, ChatBackendError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What makes an engine: two requests with the same options share one."""

    model: str
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    context_window: int | None = None
    threads: int | None = None
    slots: int = 16
    """Answers written at once; each has memory for a whole context from the start."""
    max_waiting: int = 64
    """Answers that may wait for a slot; one more is refused."""
    prefix_cache_mb: int = 256
    """MiB for what was read and written in earlier turns, so that a follow-up need not read it again; 0 for none."""
    load_timeout: float = 300
    """Seconds until loading is given up."""
    idle_unload: float | None = None
    """Seconds without work after which the engine ends, and its memory with it; None for never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """One answer to write, nothing left open."""

    messages: tuple[ChatMessage, ...]
    temperature: float
    """0 is greedy."""
    top_p: float
    top_k: int = 0
    """0 is all."""
    repetition_penalty: float
    """1 is none; counted over prompt and answer, as transformers does."""
    max_output_tokens: int
    stop: tuple[str, ...] = field(default=())
    seed: int | None = None
    user: str = ""
    """Whose turn it is: those who wait are served in turn by user."""
    confidence_tokens: int = 0
    """The text waits until so many tokens are written, and the product of their probabilities is said before it."""

    def validate(self) -> None:
        """Raise RequestRejected unless all figures are in their ranges."""
        wrong = [
            message
            for is_right, message in (
                (self.messages, "there is no message"),
                (0 <= self.temperature <= 2, f"temperature {self.temperature} is not within 0..2"),
                (0 < self.top_p <= 1, f"top_p {self.top_p} is not within 0..1"),
                (self.top_k >= 0, f"top_k {self.top_k} is negative"),
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


def encode_numbered(number: int, message: Mapping[str, Any]) -> bytes:
    """Return a line of an engine's to the connection of this number."""
    return b"%d %b" % (number, encode_line(message))


def split_numbered(line: bytes) -> tuple[int, bytes]:
    """Return the number and the line to pass on."""
    number, _, rest = line.partition(b" ")
    return int(number), rest


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


def decode_error(code: str, message: str, hint: str, retry_after: float | None = None) -> ChatBackendError:
    return _ERRORS.get(code, ChatBackendError)(message, hint=hint, retry_after=retry_after)
