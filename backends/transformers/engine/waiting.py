"""Those who wait for a slot, and whose turn it is. Knows no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Generic, Protocol, TypeVar

REMEMBERED_USERS = 1_000


class Waiter(Protocol):
    """Somebody's request."""

    @property
    def user(self) -> str: ...


K = TypeVar("K", bound=Hashable)
W = TypeVar("W", bound=Waiter)


class WaitingRoom(Generic[K, W]):
    """Serves users in turn: those first who have the fewest answers in hand, then those served longest ago.

    So ten requests of one user stand behind the first one of everybody else; each user's own keep their order.
    """

    def __init__(self) -> None:
        self._waiting: dict[K, W] = {}  # in the order of arrival
        self._told: dict[K, int] = {}
        self._served: dict[str, int] = {}
        """When users were served last, counted in answers; the latest of them."""
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K, waiter: W) -> None:
        self._waiting[key] = waiter

    def remove(self, key: K) -> W | None:
        """Let somebody go; None if they do not wait."""
        self._told.pop(key, None)
        return self._waiting.pop(key, None)

    def serve(self, in_hand: Mapping[str, int]) -> W:
        """Let the next one go, of those who wait."""
        key = self.order(in_hand)[0]
        waiter = self._waiting[key]
        self.remove(key)
        self._count += 1
        self._served.pop(waiter.user, None)
        self._served[waiter.user] = self._count
        if len(self._served) > REMEMBERED_USERS:
            del self._served[next(iter(self._served))]
        return waiter

    def keys(self) -> list[K]:
        return list(self._waiting)

    def order(self, in_hand: Mapping[str, int]) -> list[K]:
        """Return the keys in the order in which they will be served, if nobody else comes.

        ``in_hand`` says how many answers are being written for a user.
        """
        before: Counter[str] = Counter()
        ranks: dict[K, tuple[int, int]] = {}
        for key, waiter in self._waiting.items():
            ranks[key] = in_hand.get(waiter.user, 0) + before[waiter.user], self._served.get(waiter.user, 0)
            before[waiter.user] += 1
        return sorted(ranks, key=ranks.__getitem__)  # stable: of equals, who came first

    def news(self, in_hand: Mapping[str, int]) -> list[tuple[K, int]]:
        """Return the places (1 is next) of those who have another one than they were told."""
        places = {key: place for place, key in enumerate(self.order(in_hand), start=1)}
        changed = [(key, place) for key, place in places.items() if self._told.get(key) != place]
        self._told = places
        return changed
