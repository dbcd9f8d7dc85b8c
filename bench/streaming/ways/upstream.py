"""A server that speaks chat completions: ``python -m bench.streaming.ways.upstream PORT``.

Raw protocols and one timer per stream: it must have time to spare while the server that asks it has none. It says on
``/late`` how late it was itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from bench.streaming.pace import Order, seal, token

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CHUNK = (
    'data: {"id":"chatcmpl-b3nch","object":"chat.completion.chunk","created":1750000000,"model":"bench",'
    '"system_fingerprint":"fp_bench","choices":[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}]}\n\n'
)
_USAGE = (
    'data: {"id":"chatcmpl-b3nch","object":"chat.completion.chunk","created":1750000000,"model":"bench","choices":[],'
    '"usage":{"prompt_tokens":1,"completion_tokens":%d,"total_tokens":%d}}\n\ndata: [DONE]\n\n'
)
BURST = 16
"""Tokens of one stream between two looks at the others, where there is no pace."""

_latest = 0.0


class Completions(asyncio.Protocol):
    """One connection; it answers one request after the other."""

    def __init__(self) -> None:
        self._received = b""
        self._timer: asyncio.Handle | None = None
        self._is_paused = False
        self._order = Order(0, 0)
        self._begun = 0.0
        self._pieces: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._loop = asyncio.get_running_loop()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._timer is None and self._begun:
            self._write_on()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        self._received = b""
        if head.startswith(b"GET /late "):
            self._tell_latest()
            return
        asked = json.loads(body)
        self._order, self._pieces = Order.parse(asked["messages"][-1]["content"]), []
        self._begun = time.monotonic()
        self._transport.write(_HEAD + _as_chunk(_CHUNK % ('{"role":"assistant","content":""}', "null")))
        self._write_on()

    def _write_on(self) -> None:
        """Write what is due, and come back when the next token is."""
        self._timer = None
        left = BURST
        while len(self._pieces) < self._order.tokens:
            due, now = self._order.due(self._begun, len(self._pieces)), time.monotonic()
            if due > now:
                self._timer = self._loop.call_at(due, self._write_on)
                return
            if self._is_paused:
                return
            if not left:
                self._timer = self._loop.call_soon(self._write_on)
                return
            left -= 1
            _note_lateness(now - due)
            self._write(token(len(self._pieces), due))
        self._write(seal(self._pieces))
        self._begun = 0.0
        end = _CHUNK % ("{}", '"stop"') + _USAGE % (self._order.tokens, self._order.tokens)
        self._transport.write(_as_chunk(end) + b"0\r\n\r\n")

    def _write(self, piece: str) -> None:
        self._pieces.append(piece)
        self._transport.write(_as_chunk(_CHUNK % (f'{{"content":{json.dumps(piece)}}}', "null")))

    def _tell_latest(self) -> None:
        """Answer with the most seconds that a token was late since the last time somebody asked."""
        global _latest
        text, _latest = f"{_latest:.6f}".encode(), 0.0
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(text) + text)
        self._transport.close()


def _note_lateness(seconds: float) -> None:
    global _latest
    _latest = max(_latest, seconds)


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


def _as_chunk(text: str) -> bytes:
    data = text.encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Completions, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
