"""What matches: the letters that count as equal, and how a query is read. This is the definition; the index only helps.

A query matches a text when all its terms are in it. A term is a word or, in double quotes, a phrase; it may begin and
end anywhere within a word. Only one or two letters of a script with spaces must begin one: else "in" would find nearly
everything.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

MAX_LENGTH = 200
"""Characters that a query may have."""

# Han, Kana, Hangul and its letters: words of one or two characters, and no spaces within compounds.
DENSE = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
LETTER = rf"[^\W_{DENSE}]"
"""A letter or digit of a script with spaces."""

_DENSE = re.compile(f"[{DENSE}]")
_LETTER = re.compile(LETTER)
_PARTS = re.compile('"([^"]*)"?|([^\\s"]+)')
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»", '"'))

# Invisible: they choose a picture, or a place to break a line.
_DROPPED = {0xAD, 0x200B, 0x2060, 0xFE0E, 0xFE0F, 0xFEFF}


class _Folding(dict[int, str]):
    """What each character is folded to, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        folded = "" if code in _DROPPED else character
        # The letters of Hangul, alone as in ㅋㅋ: their compatibility forms are the usual ones.
        if folded and not 0x3130 <= code <= 0x318F:
            folded = unicodedata.normalize("NFKC", character).casefold()
            bare = "".join(part for part in unicodedata.normalize("NFD", folded) if not "\u0300" <= part <= "\u036f")
            folded = unicodedata.normalize("NFC", bare)
        self[code] = folded
        return folded


_folding = _Folding()


def composed(text: str) -> str:
    """Return the text in NFC, of which ``fold`` folds each character for itself."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """Return the text without case, accents, widths and ways to spell a character."""
    return text.lower() if text.isascii() else composed(text).translate(_folding)


def folded_characters(text: str) -> list[str]:
    """Return what each character of a composed text is folded to: mostly one, but none and several, too."""
    return [_folding[code] for code in map(ord, text)]


def is_dense(text: str) -> bool:
    """Tell whether there is a character of a script without spaces in it."""
    return _DENSE.search(text) is not None


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a query, or the words of a phrase, folded."""

    words: tuple[str, ...]

    @property
    def is_short(self) -> bool:
        """Whether it must begin a word."""
        return len(self.words) == 1 and len(self.words[0]) <= 2 and not is_dense(self.words[0])

    @property
    def pattern(self) -> str:
        """A regular expression for it in folded texts; between the words of a phrase is any white space."""
        begin = rf"(?<!{LETTER})" if self.is_short and _LETTER.match(self.words[0]) else ""
        return begin + r"\s+".join(map(re.escape, self.words))


@dataclass(frozen=True)
class Query:
    """What somebody looks for."""

    text: str

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms, each once."""
        parts = _PARTS.findall(fold(self.text.translate(_QUOTES)))
        words = (tuple((phrase or word).split()) for phrase, word in parts)
        return tuple(Term(some) for some in dict.fromkeys(words) if some)

    @property
    def is_too_short(self) -> bool:
        """Whether it has nothing but single letters or digits, or nothing."""
        return all(len("".join(term.words)) == 1 and term.words[0].isascii() for term in self.terms)

    @property
    def is_too_long(self) -> bool:
        return len(self.text) > MAX_LENGTH

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Any of the terms; longer ones first, so that they are marked whole."""
        return re.compile("|".join(sorted((term.pattern for term in self.terms), key=len, reverse=True)))

    @cached_property
    def _tests(self) -> tuple[tuple[str, re.Pattern[str] | None], ...]:
        plain = {re.escape(word): word for term in self.terms for word in term.words}
        return tuple(
            (plain[term.pattern], None) if term.pattern in plain else ("", re.compile(term.pattern))
            for term in self.terms
        )

    def matches(self, text: str) -> bool:
        """Tell whether all terms are in the text."""
        folded = fold(text)
        return all(pattern.search(folded) is not None if pattern else word in folded for word, pattern in self._tests)
