"""From the bytes of a connection to events. As little work as it takes: it must not be the bottleneck itself."""

from __future__ import annotations

from typing import NamedTuple


class Response:
    """One HTTP/1.1 response while it comes in."""

    def __init__(self) -> None:
        self.status = 0
        self.is_over = False
        """Whether the last chunk is there; a body without chunks ends with its connection."""
        self._is_chunked = False
        self._buffer = b""

    def feed(self, received: bytes) -> bytes:
        """Return what these bytes complete of the body."""
        self._buffer += received
        if not self.status:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return b""
            self._buffer = rest
            self.status = int(head.split(b" ", 2)[1])
            self._is_chunked = b"\r\ntransfer-encoding: chunked" in head.lower()
        if self._is_chunked:
            return self._take_chunks()
        body, self._buffer = self._buffer, b""
        return body

    def _take_chunks(self) -> bytes:
        buffer, place, chunks = self._buffer, 0, []
        while (end := buffer.find(b"\r\n", place)) >= 0:
            size = int(buffer[place:end], 16)
            stop = end + 2 + size
            if len(buffer) < stop + 2:
                break
            chunks.append(buffer[end + 2 : stop])
            place = stop + 2
            self.is_over = self.is_over or not size
        self._buffer = buffer[place:]
        return b"".join(chunks)


class Event(NamedTuple):
    """One server-sent event."""

    name: bytes = b"message"
    data: bytes = b""
    id: bytes = b""


class Events:
    """The events of one body; lines end with LF, as all servers here write them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, body: bytes) -> list[Event]:
        *blocks, self._rest = (self._rest + body).split(b"\n\n")
        return [_parse(block) for block in blocks]


def _parse(block: bytes) -> Event:
    name, data, number = b"message", b"", b""
    for line in block.split(b"\n"):
        if line.startswith(b"data:"):
            data += line[5:]
        elif line.startswith(b"event:"):
            name = line[6:].strip()
        elif line.startswith(b"id:"):
            number = line[3:].strip()
    return Event(name, data, number)
