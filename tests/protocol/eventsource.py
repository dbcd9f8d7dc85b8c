"""An EventSource without a network: bytes in any pieces to events, as the HTML standard says."""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Heard:
    """A dispatched event."""

    event: str
    data: str
    last_event_id: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.data) if self.data else {}


class EventSource:
    """The parser and what it remembers from one connection to the next."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self.reconnect()

    def reconnect(self) -> None:
        """Forget the half of a frame that a connection ended in."""
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._line = ""
        self._after_cr = False
        self._event, self._data, self._id = "", "", self.last_event_id

    def feed(self, chunk: bytes) -> list[Heard]:
        heard = []
        for character in self._decoder.decode(chunk):
            is_half_of_crlf = self._after_cr and character == "\n"
            self._after_cr = character == "\r"
            if is_half_of_crlf:
                continue
            if character not in "\r\n":
                self._line += character
                continue
            line, self._line = self._line, ""
            if line:
                self._field(*line.partition(":")[::2])
            elif event := self._dispatch():
                heard.append(event)
        return heard

    def _field(self, name: str, value: str) -> None:
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data += f"{value}\n"
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdecimal():
            self.retry = int(value)

    def _dispatch(self) -> Heard | None:
        self.last_event_id = self._id
        event, data = self._event or "message", self._data
        self._event, self._data = "", ""
        return Heard(event, data.removesuffix("\n"), self.last_event_id) if data else None
