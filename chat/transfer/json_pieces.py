"""A document of JSON read piece by piece: each conversation in it by itself, however large the whole is.

Nothing is trusted: what is nested too deeply, has too many values or too much text is left out and told of, and what
comes after it is still read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ijson
from django.utils.translation import gettext as _
from ijson.common import ObjectBuilder

from chat.transfer.values import UnreadableError

MOST_DEPTH = 100
MOST_VALUES = 1_000_000
MOST_TEXT = 20_000_000
"""Of one conversation: levels, values and characters."""
LIST_KEY = "conversations"
"""Where our own documents have their list."""
_HEAD_TEXT = 200
_BACKSLASH = 0x5C
_HALVES = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_FIRST_HALF = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_UNKNOWN = rb"\ufffd"


@dataclass(frozen=True, slots=True)
class Piece:
    """One conversation as the file has it, or why it cannot be read."""

    data: dict[str, Any] | None
    reason: str = ""


class _Collector:
    """Builds one value of its events, as long as it keeps to the limits."""

    def __init__(self) -> None:
        self.builder: ObjectBuilder | None = ObjectBuilder()
        self.values = self.text = 0
        self.depth = 0

    def add(self, event: str, value: Any) -> bool:
        """Take an event; True if it was the last one of the value."""
        if event in {"start_map", "start_array"}:
            self.depth += 1
        elif event in {"end_map", "end_array"}:
            self.depth -= 1
        elif event in {"string", "map_key"}:
            self.text += len(value)
        self.values += 1
        if self.depth > MOST_DEPTH or self.values > MOST_VALUES or self.text > MOST_TEXT:
            self.builder = None  # what there is of it is let go
        if self.builder:
            self.builder.event(event, value)
        return self.depth == 0

    def piece(self) -> Piece:
        if self.builder is None:
            return Piece(None, _("It is too large, or nested too deeply."))
        value = self.builder.value
        return Piece(value) if isinstance(value, dict) else Piece(None, _("It is no conversation."))


def pieces(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """Yield what may be a conversation: each item of the list that the document is or has, or the document itself.

    Raises:
        UnreadableError: it is no JSON, from here on, or was made by a version of our format that we do not know.
    """
    return _pieces(_events(chunks))


def _events(chunks: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield what the parser finds, as long as it finds something.

    Numbers are floats or 64-bit integers: of others, the parser says that they are too large. With integers of any
    size, one of thousands of digits makes it (ijson 3.6) end the process.
    """
    found = ijson.sendable_list()
    parser = ijson.basic_parse_coro(found, use_float=True)
    try:
        for chunk in without_halves(chunks):
            if chunk:  # none at all is the parser's sign for the end
                parser.send(chunk)
                yield from found
                del found[:]
        with suppress(StopIteration):
            parser.send(b"")
    except (ijson.JSONError, UnicodeDecodeError) as error:
        yield from found
        raise UnreadableError(_("The file is damaged, or no JSON at all, from some place on.")) from error
    yield from found


def without_halves(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the document with U+FFFD for each escaped half of a surrogate pair that stands alone.

    Programs that cut texts in the middle of an emoji write such halves; the parser takes them for damage.
    """
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        end = _complete(data)
        yield _HALVES.sub(_mended, data[:end])
        rest = data[end:]
    yield _HALVES.sub(_mended, rest)


def _complete(data: bytes) -> int:
    """Return how much of the data has no escape in it that goes on in what follows."""
    start = data.find(b"\\", max(len(data) - 12, 0))
    if start < 0:
        return len(data)
    if _FIRST_HALF.fullmatch(data, start - 6, start):
        start -= 6
    run = start
    while run and data[run - 1] == _BACKSLASH:
        run -= 1
    return start - (start - run) % 2  # whether a backslash is escaped itself must be plain from here on


def _mended(match: re.Match[bytes]) -> bytes:
    run = match.start()
    while run and match.string[run - 1] == _BACKSLASH:
        run -= 1
    text = match[0]
    if (match.start() - run) % 2:  # an escaped backslash and plain letters
        return text[:6] + _UNKNOWN if len(text) > 6 else text
    return text if len(text) > 6 else _UNKNOWN


def _pieces(events: Iterator[tuple[str, Any]]) -> Iterator[Piece]:
    event, _value = next(events, ("", None))
    if event == "start_array":
        yield from _items(events)
    elif event == "start_map":
        yield from _of_map(events)


def _items(events: Iterator[tuple[str, Any]]) -> Iterator[Piece]:
    """Yield the items of a list that has begun."""
    for event, value in events:
        if event == "end_array":
            return
        yield _collected(event, value, events)


def _collected(event: str, value: Any, events: Iterator[tuple[str, Any]]) -> Piece:
    collector = _Collector()
    is_whole = collector.add(event, value)
    while not is_whole:
        is_whole = collector.add(*next(events))
    return collector.piece()


def _of_map(events: Iterator[tuple[str, Any]]) -> Iterator[Piece]:
    """Yield the items of the list that the map has, or the map itself."""
    whole = _Collector()
    whole.add("start_map", None)
    key = ""
    has_list = False
    for event, value in events:
        if whole.depth == 1 and event == "map_key":
            key = value
        if whole.depth == 1 and key == LIST_KEY and event == "start_array":
            _check_version(whole.builder.value if whole.builder else {})
            has_list = True
            yield from _items(events)
            whole.builder = None
            continue
        if whole.add(event, value):
            break
    if not has_list:
        yield whole.piece()


def _check_version(header: Any) -> None:
    version = header.get("version") if isinstance(header, dict) else None
    if version is not None and version != 1:
        text = _("This file was made by a newer version of this site (format %s).")
        raise UnreadableError(text % str(version)[:_HEAD_TEXT])
