"""Values of other people's files: each comes back as what we can hold, or as None."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.utils.dateparse import parse_datetime

from chat.storable import storable

_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_GREATEST_COUNT = 2**31 - 1


class UnreadableError(Exception):
    """A file or a conversation in it cannot be imported; the text says why, to the person who wants it."""


def text(value: Any, length: int | None = None) -> str:
    """Return a text in NFC with plain newlines that every database can hold, as forms do; empty where it is none."""
    if not isinstance(value, str):
        return ""
    return exact(unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n")), length)


def exact(value: Any, length: int | None = None) -> str:
    """Return a text as it is, but for what no database can hold; empty where it is none."""
    return storable(value)[:length] if isinstance(value, str) else ""


def word(value: Any) -> str:
    """Return a value that is one of some words, for looking it up; empty where it is no text."""
    return value if isinstance(value, str) else ""


def name(value: Any) -> str | None:
    """Return what something is called within a file, which may be a number; None where it has no name."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return storable(str(value))[:100] or None


def count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _GREATEST_COUNT:
        return None
    return value


def number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        found = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return found if math.isfinite(found) else None


def moment(value: Any) -> datetime | None:
    """Return a time of an ISO text, or of seconds, milli-, micro- or nanoseconds since 1970."""
    if isinstance(value, str):
        return _in_range(_of_text(value))
    seconds = number(value)
    if seconds is None or abs(seconds) > 1e20:
        return None
    while abs(seconds) > 1e11:
        seconds /= 1000
    return _in_range(datetime.fromtimestamp(seconds, UTC))


def _of_text(value: str) -> datetime | None:
    try:
        parsed = parse_datetime(value)
    except ValueError:
        return None
    return parsed if parsed is None or parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _in_range(value: datetime | None) -> datetime | None:
    return value if value and _EARLIEST <= value < _LATEST else None


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
