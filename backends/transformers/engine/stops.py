"""Ending an answer before a string that it must not contain."""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Lets text through until one of ``stops`` appears, whatever pieces it comes in.

    Text that could be the beginning of a stop string is held back until the next piece decides.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False
        """Whether a stop string has been met; nothing comes out after that."""

    def feed(self, text: str) -> str:
        """Return what can be shown after ``text`` was added."""
        if self.stopped:
            return ""
        text = self._held + text
        found = [position for stop in self._stops if (position := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)]
        keep = self._length_that_may_be_a_beginning(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Return what was held back, at the end of an answer that did not meet a stop string."""
        held, self._held = self._held, ""
        return held

    def _length_that_may_be_a_beginning(self, text: str) -> int:
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
