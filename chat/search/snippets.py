"""The part of a text around what was found, cut into plain and marked pieces: text, never HTML."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

from chat.search.terms import Query, composed, fold, folded_characters

BEFORE, AFTER = 40, 160
"""Characters around the beginning of the first hit."""

_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text."""

    text: str
    is_match: bool = False


def whole(text: str, query: Query | None = None) -> tuple[Part, ...]:
    """Return all of a text, with the hits in it marked."""
    return tuple(_marked(composed(text), query)) if query else (Part(text),)


def snippet(text: str, query: Query) -> tuple[Part, ...]:
    """Return what is around the first hit in one line, with the hits in it marked."""
    text = composed(text)
    found = query.pattern.search(fold(text))
    at = _unfolded(text, found.start()) if found else 0
    begin, end = _word_start(text, max(0, at - BEFORE), at), min(len(text), at + AFTER)
    parts = [Part(_SPACE.sub(" ", part.text), part.is_match) for part in _marked(text, query, begin, end)]
    if begin > 0:
        parts.insert(0, Part("…"))
    if end < len(text):
        parts.append(Part("…"))
    return tuple(parts)


def _unfolded(text: str, place: int) -> int:
    """Return the place in the text of a place in the folded text."""
    if len(fold(text[:place])) == place:
        return place
    return bisect_left(range(len(text)), place + 1, key=lambda end: len(fold(text[:end]))) - 1


def _word_start(text: str, begin: int, at: int) -> int:
    """Return where the first whole word begins, if one does before ``at``."""
    if begin == 0:
        return 0
    space = _SPACE.search(text, begin, at)
    return space.end() if space else begin


def _marked(text: str, query: Query, begin: int = 0, end: int | None = None) -> list[Part]:
    """Return a part of the composed text in pieces."""
    end = len(text) if end is None else end
    # With a character before it, which decides whether a word begins here.
    start = max(0, begin - 1)
    pieces = folded_characters(text[start:end])
    places = [place for place, piece in enumerate(pieces, start) for _ in piece]
    parts, done = [], begin
    for found in query.pattern.finditer("".join(pieces)):
        first, last = max(places[found.start()], begin), places[found.end() - 1] + 1
        if last <= done:
            continue
        # Accents that stand for themselves belong to the letter before.
        while last < end and not fold(text[last]):
            last += 1
        first = max(first, done)
        parts += [Part(text[done:first])] if first > done else []
        parts.append(Part(text[first:last], is_match=True))
        done = last
    return [*parts, Part(text[done:end])] if done < end else parts
