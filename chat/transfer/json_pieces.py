"""A document of JSON read piece by piece: each conversation in it by itself, however large the whole is.

Nothing is trusted: what is nested too deeply, has too many values or too much text is left out and told of, and what
comes after it is still read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

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


def pieces(file: BinaryIO) -> Iterator[Piece]:
    """Yield what may be a conversation: each item of the list that the document is or has, or the document itself.

    Raises:
        UnreadableError: it is no JSON, from here on, or was made by a version of our format that we do not know.
    """
    try:
        yield from _pieces(iter(ijson.basic_parse(file)))
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise UnreadableError(_("The file is damaged, or no JSON at all, from some place on.")) from error
    except ValueError as error:  # a number of thousands of digits
        raise UnreadableError(_("The file has a number in it that is too large.")) from error


def _pieces(events: Iterator[tuple[str, Any]]) -> Iterator[Piece]:
    event, _value = next(events)
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
