"""Frames as the server writes them. They are kept in golden.sse; without that file a test writes it anew."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat import events
from tests.protocol.server import CHANNEL, Connection, with_empty_ring

FILE = Path(__file__).with_name("golden.sse")
START = 1_764_000_000_000_000
"""The place of the channel before its first event."""
TEXTS = [
    "Good day",
    "",
    " ",
    "one\nline\rafter\r\nanother\n\n",
    "data: forged\n\nevent: stream-reset\nid: error\ndata: {}\n\n",
    ": no comment",
    "\u2028\u2029\x85\x0b\x0c",
    "\ufeff한국어 é e\u0301",
    "😀 👩\u200d👩\u200d👧 🇰🇷",
    "\x01\x1f\x7f\ufffd\uffff\U0010ffff",
    '"\\/</script><!--',
]


def sent() -> list[dict]:
    offset, events_sent = 0, []
    for text in TEXTS:
        events_sent.append({"message": 2, "offset": offset, "text": text})
        offset += len(text)
    return events_sent


async def frames() -> bytes:
    """Return what a reader is sent who missed something, then one event after the other, then several at once."""
    connection, body = await Connection.open(f"{CHANNEL}:0", channels=(CHANNEL,))
    half = len(TEXTS) // 2
    for number, data in enumerate(sent()):
        events.publish(CHANNEL, "message.delta", data)
        if number < half:
            body += await connection.read()
    body += await connection.read()
    await connection.close()
    return body


def write() -> bytes:
    with pytest.MonkeyPatch.context() as monkeypatch:
        with_empty_ring(monkeypatch)
        monkeypatch.setattr("chat.events.ring.secrets.randbits", lambda bits: START)
        return asyncio.run(frames())
