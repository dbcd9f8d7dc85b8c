"""What the index holds of a text: numbers of the short pieces that it consists of.

Each term that is in a text has only pieces that the text has, too; so who has them all is a candidate. Two pieces may
share a number: that costs a look at a text, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from zlib import crc32

from chat.search.terms import DENSE, LETTER, Query, Term, fold, is_dense

MOST = 24
"""Pieces of a query that the index is asked for; more would narrow the choice no further."""

_RUN = re.compile(rf"[{DENSE}]+|[^\s{DENSE}]+")
_START = re.compile(rf"(?<!{LETTER}){LETTER}|(?!{LETTER})[^\s{DENSE}]")


def number(piece: str) -> int:
    """Return 32 bits for a piece."""
    return crc32(piece.encode("utf-8", "surrogatepass"))


def grams(text: str) -> set[int]:
    """Return the numbers of a text: of all its pieces."""
    found: set[int] = set()
    for word in set(fold(text).split()):
        found |= _of_common_word(word) if len(word) <= 40 else _of_word(word)
    return found


def grams_of_query(query: Query) -> list[int]:
    """Return the numbers that a text must have for the query to match it."""
    pieces = list(dict.fromkeys(piece for term in query.terms for piece in _needed(term)))
    # The last ones as well as the first: those at the end tell long queries apart that begin alike.
    step = max(1, -(-len(pieces) // MOST))
    return [number(piece) for piece in pieces[::step]]


def _of_word(word: str) -> frozenset[int]:
    return frozenset(map(number, _pieces(word)))


_of_common_word = lru_cache(maxsize=8192)(_of_word)


def _pieces(word: str) -> Iterator[str]:
    """Yield a word's pieces: characters and pairs where there are no spaces, else triples and how words begin."""
    for run in _RUN.findall(word):
        if is_dense(run):
            yield from run
            yield from _windows(run, 2)
        else:
            yield from _windows(run, 3)
    for match in _START.finditer(word):
        at = match.start()
        yield _start(word[at])
        yield _start(word[at : at + 2])


def _needed(term: Term) -> Iterator[str]:
    for place, word in enumerate(term.words):
        pieces = [piece for run in _RUN.findall(word) for piece in _narrowest(run)]
        # The first word of a phrase may be the end of one in the text.
        if not pieces and (place > 0 or term.is_short):
            pieces = [_start(word[:2])]
        yield from pieces


def _narrowest(run: str) -> Iterable[str]:
    if not is_dense(run):
        return _windows(run, 3)
    return _windows(run, 2) if len(run) > 1 else [run]


def _windows(run: str, width: int) -> list[str]:
    return [run[at : at + width] for at in range(len(run) - width + 1)]


def _start(piece: str) -> str:
    return f"^{piece}"
