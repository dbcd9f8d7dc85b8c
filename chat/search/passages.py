"""What the index holds, whatever the database: of each passage, the numbers of what it consists of.

A passage is a message under its own id, or the title of a conversation under the negative id of its first message. So
both are found newest first without being sorted, and the index needs no rows beside its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from chat.search.grams import grams, number


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that can be found, and by whom."""

    pk: int
    owner: int
    text: str

    @property
    def grams(self) -> set[int]:
        """What the index holds of it, with whose it is."""
        return grams(self.text) | {owned_by(self.owner, titles=self.pk < 0)}


def owned_by(owner: int, *, titles: bool) -> int:
    """Return the number that all messages, or all titles, of a person have."""
    return number(f"{'titles' if titles else 'messages'} {owner}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which passages: of whom, with all these numbers, of which kind, further back than which one, how many."""

    owner: int
    grams: Collection[int]
    titles: bool = False
    before: int | None = None
    """The id of a message: older ones only; or the first message of a conversation, for the titles of older ones."""
    count: int

    @property
    def all_grams(self) -> list[int]:
        return [owned_by(self.owner, titles=self.titles), *self.grams]


class Index(Protocol):
    def put(self, passages: Iterable[Passage]) -> None:
        """Let these be found; one that is known already may only have grown."""

    def remove(self, passages: Iterable[Passage]) -> None:
        """Let these, with the texts that were put, be found no more."""

    def known(self, pks: Collection[int]) -> set[int]:
        """Return which of these passages are in the index."""

    def newest(self, wanted: Wanted) -> list[int]:
        """Return the ids of the newest candidates, newest first."""

    def clear(self) -> None:
        """Forget everything."""

    def optimize(self) -> None:
        """Make it quick again after much was put."""
