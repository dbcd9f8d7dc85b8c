"""Lines over a socket, as the engine service reads and writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LONGEST_LINE = 64 * 2**20
"""Bytes. A prompt is 100 kB or more; whatever is longer than this is no line of ours."""

MOST_UNREAD = 16 * 2**20
"""Bytes that may wait for the other side to read them, before it is taken for dead."""


class Lines(asyncio.Protocol):
    """One side of a socket. Nothing here waits: what cannot be sent is kept, up to ``most_unread``.

    ``on_line`` gets each line without its end; ``on_close`` is called once, when the socket is closed from either side.
    """

    def __init__(self, on_line: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self.longest_line = LONGEST_LINE
        self.most_unread = MOST_UNREAD
        self.is_closed = False
        self._on_line = on_line
        self._on_close = on_close
        self._transport: asyncio.Transport | None = None
        self._may_write = False
        self._unsent: list[bytes] = []
        """What is kept while there is no connection yet, or the other side is slow. Not left to the transport: since
        Python 3.12 it counts all that it has anew for each line."""
        self._unsent_size = 0
        self._pieces: list[bytes] = []
        """The beginning of a line whose end has not come."""
        self._size = 0

    def write(self, line: bytes) -> None:
        """Send a line, or lose it if the socket is closed."""
        if self.is_closed:
            return
        if self._may_write and self._transport:
            self._transport.write(line)
            return
        self._unsent.append(line)
        self._unsent_size += len(line)
        if self._unsent_size > self.most_unread:
            self.abort()

    def close(self) -> None:
        """Close the socket once all is sent that was written; nothing more is read."""
        self.is_closed = True
        if self._transport:
            self._transport.write(b"".join(self._unsent))
            self._transport.close()

    def abort(self) -> None:
        """Close the socket now."""
        self.is_closed = True
        self._unsent.clear()
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.is_closed:
            transport.abort()
        else:
            self.resume_writing()

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        unsent, self._unsent, self._unsent_size = self._unsent, [], 0
        if unsent and self._transport and not self.is_closed:
            self._transport.write(b"".join(unsent))

    def data_received(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join((*self._pieces, lines[0]))
            self._pieces.clear()
            self._size = 0
        self._pieces.append(rest)
        self._size += len(rest)
        if self._size > self.longest_line or (lines and len(lines[0]) > self.longest_line):
            self.line_too_long()
            return
        for line in lines:
            if self.is_closed:
                return
            self._on_line(line)

    def line_too_long(self) -> None:
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._on_close()
