"""From the bytes of an event stream to text and a verdict. Pure: no SDK, no network, no clock.

The SDK could read the stream too, but takes more CPU per token, has no limit on a line's length, stumbles over an
``id:`` line with a keep-alive comment behind it, and lets out errors that quote the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from backends.base import Finish, FinishReason, StreamEvent, TextDelta, Usage
from backends.exceptions import ChatBackendError, RequestRejected, StreamInterrupted
from backends.openai.failures import from_stream

MAX_EVENT_BYTES = 1 << 20
"""A chunk is some hundred bytes; a server that sends this much without an end would fill our memory."""

_FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_OR_NUL = re.compile("[\ud800-\udfff\0]")


def mend_surrogates(text: str) -> str:
    """Join surrogate pairs, and replace lone surrogates, so that the text can be encoded."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Answer:
    """One answer while it comes in."""

    finish_reason: FinishReason | None = None
    """Set once the server has said why the answer ended; text that comes later is not part of it."""

    usage: Usage | None = None

    is_over: bool = False
    """Whether nothing more is to be read: ``[DONE]``, or the end of the body."""

    def __init__(self) -> None:
        self._line = b""
        self._data: list[bytes] = []
        self._size = 0
        self._high_surrogate = ""

    def feed(self, received: bytes) -> Iterator[TextDelta]:
        """Yield the text that these bytes complete; ``b""`` is the end of the body.

        Raises:
            ChatBackendError: the server reported an error, or sent what we cannot read.
        """
        if not received:
            self.is_over = True
            return
        # Lines end with LF or CRLF. The standard's third way, CR alone, is in no server's use.
        *lines, self._line = (self._line + received).split(b"\n")
        self._size += len(received)
        for line in lines:
            if line in {b"", b"\r"}:
                self._size = 0
                if self._data and (text := self._dispatch()):
                    yield TextDelta(text)
                if self.is_over:
                    return
            elif line.startswith(b"data:"):
                self._data.append(line[5:])
        if self._size > MAX_EVENT_BYTES:
            raise StreamInterrupted(f"The backend sent an event of more than {MAX_EVENT_BYTES} bytes.")

    def end(self) -> Iterator[StreamEvent]:
        """Yield the ``Finish``, after what is left of the text.

        Raises:
            StreamInterrupted: the server never said that the answer was over.
        """
        if self.finish_reason is None:
            raise StreamInterrupted("The answer broke off before the backend gave a finish reason.")
        if self._high_surrogate:
            yield TextDelta("\ufffd")
        yield Finish(self.finish_reason, self.usage)

    def _dispatch(self) -> str:
        """Take in one event, and return its text."""
        data, self._data = b"\n".join(self._data).strip(), []
        if data.startswith(b"[DONE]"):
            self.is_over = True
        if self.is_over or not data:
            return ""
        try:
            chunk = _parse(data)
        except ChatBackendError:
            if self.finish_reason is None:
                raise
            self.is_over = True  # the verdict stands, whatever goes wrong behind it
            return ""
        self.usage = _usage(chunk.get("usage")) or self.usage
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        return self._take(choice) if isinstance(choice, dict) and not self.finish_reason else ""

    def _take(self, choice: dict[str, Any]) -> str:
        reason = choice.get("finish_reason")
        if reason in ("tool_calls", "function_call"):
            hint = "Turn tools off where this model is served; this site offers none."
            raise RequestRejected("The model asked for a tool instead of answering.", hint=hint)
        if reason and (not isinstance(reason, str) or reason not in _FINISH_REASONS):
            raise StreamInterrupted("The backend ended the answer for a reason that we do not know.")
        delta = choice.get("delta")
        content = delta.get("content") if isinstance(delta, dict) else None
        text = self._whole(content) if content and isinstance(content, str) else ""
        self.finish_reason = _FINISH_REASONS[reason] if reason else None
        return text

    def _whole(self, text: str) -> str:
        """Return the text without half characters, keeping the first half of a pair for the next delta."""
        text, self._high_surrogate = self._high_surrogate + text, ""
        if not _SURROGATE_OR_NUL.search(text):
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._high_surrogate = text[:-1], text[-1]
        return mend_surrogates(text).replace("\0", "\ufffd")  # PostgreSQL refuses NUL in text


def _parse(data: bytes) -> dict[str, Any]:
    try:
        chunk = json.loads(data.decode())
    except (ValueError, RecursionError):
        chunk = None
    if not isinstance(chunk, dict):
        # Not chained: a UnicodeDecodeError quotes the answer, which may quote the prompt.
        raise StreamInterrupted("The backend sent a chunk that is not a JSON object.")
    if error := chunk.get("error"):
        raise from_stream(error)
    return chunk


def _usage(counted: Any) -> Usage | None:
    """Return the token counts if they are all there and make sense."""
    if not isinstance(counted, dict):
        return None
    read, written = counted.get("prompt_tokens"), counted.get("completion_tokens")
    if not isinstance(read, int) or not isinstance(written, int) or min(read, written) < 0:
        return None
    return Usage(read, written)
