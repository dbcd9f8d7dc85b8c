"""Connections of readers: streams that are heard as they come, and requests that have one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bench.streaming.wire import Event, Events, Response


class Stream(asyncio.Protocol):
    """A response with events that come in as they please."""

    def __init__(self, request: bytes, heard: Callable[[Event], None], ended: Callable[[], None]) -> None:
        self._request = request
        self._heard = heard
        self._ended = ended
        self._response = Response()
        self._events = Events()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        body = self._response.feed(data)
        if self._response.status != 200:
            self._transport.abort()
            return
        for event in self._events.feed(body):
            self._heard(event)
        if self._response.is_over:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()

    def abort(self) -> None:
        self._ended = lambda: None
        self._heard = lambda event: None
        self._transport.abort()


async def open_stream(port: int, request: bytes, heard: Callable[[Event], None], ended: Callable[[], None]) -> Stream:
    loop = asyncio.get_running_loop()
    _, stream = await loop.create_connection(lambda: Stream(request, heard, ended), "127.0.0.1", port)
    return stream


async def exchange(port: int, request: bytes) -> tuple[int, bytes]:
    """Return the status and the whole body of a response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        response = Response()
        body = b""
        while data := await reader.read(1 << 16):
            body += response.feed(data)
        return response.status, body
    finally:
        writer.close()


def request_bytes(method: str, path: str, headers: dict[str, str] | None = None, body: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json, text/event-stream"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return ("\r\n".join(lines) + f"\r\n\r\n{body}").encode()
