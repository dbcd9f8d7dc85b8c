"""What a reader makes of the pieces: the resume rule, how late each token was, and what was lost or doubled."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass

_TOKEN = re.compile(r"🙂?(\d+) \d+ ")
_SEAL = re.compile("=[0-9a-f]{8}")


class Answer:
    """One answer as a page holds it; docs/streaming.md has the rule."""

    def __init__(self) -> None:
        self.length = 0
        self.repeated = 0
        """Characters that came again and were skipped."""
        self._parts: list[str] = []
        self._known_end = 0

    @property
    def text(self) -> str:
        return "".join(self._parts)

    @property
    def has_gap(self) -> bool:
        """Whether text is missing that only a snapshot can bring."""
        return self.length < self._known_end

    def add(self, offset: int, text: str) -> str:
        """Take a delta; return what was appended of it."""
        if offset > self.length:
            self._known_end = max(self._known_end, offset + len(text))
            return ""
        if known := min(self.length - offset, len(text)):
            self.repeated += known
            text = text[known:]
        self._parts.append(text)
        self.length += len(text)
        return text

    def end(self, length: int) -> None:
        """Take how long the whole answer is."""
        self._known_end = max(self._known_end, length)

    def replace(self, text: str) -> None:
        """Take a snapshot, unless it is older than what is known."""
        if len(text) > self.length:
            self._parts, self.length = [text], len(text)


@dataclass(frozen=True, slots=True)
class Check:
    """What is wrong with an answer, in characters; whole tokens are counted, where a part of one is missing."""

    lost: int = 0
    doubled: int = 0


def due_times(text: str) -> list[int]:
    """Return the microseconds at which the tokens of a piece were due."""
    return [int(field) for field in text.split()[1::2]]


def check(text: str, tokens: int) -> Check:
    """Compare an answer with what the upstream wrote, which is known by its seal and by the tokens' numbers."""
    body, found, checksum = text.rpartition("=")
    if found and checksum == f"{zlib.crc32(body.encode()):08x}" and len(_TOKEN.findall(body)) == tokens:
        return Check()
    lengths: dict[int, int] = {}
    times: Counter[int] = Counter()
    for match in _TOKEN.finditer(text):
        number = int(match[1])
        times[number] += 1
        lengths[number] = len(match[0])
    usual = max(lengths.values(), default=1)
    seals = len(_SEAL.findall(text))
    lost = usual * sum(number not in times for number in range(tokens)) + (0 if seals else len("=01234567"))
    doubled = sum(lengths[number] * (count - (number < tokens)) for number, count in times.items())
    doubled += len("=01234567") * max(0, seals - 1)
    # All tokens are there, and still it is another text: in another order, or with characters between them.
    return Check(lost, doubled) if lost or doubled else Check(doubled=max(1, len(_TOKEN.sub("", body))))
