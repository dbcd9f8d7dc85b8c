"""The newest events of each channel, in memory."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from django_eventstream.event import Event
from django_eventstream.storage import EventDoesNotExist, StorageBase

RING_EVENTS = 256
"""Events that a channel remembers for a tab that comes back; one that was away for longer fetches the snapshot."""
RING_CHANNELS = 20_000
"""Channels that are remembered; the one unused for longest goes first."""
RING_LINGER = 60.0
"""Seconds for which a channel is remembered that nobody listens to."""


class RingEvent(Event):  # type: ignore[misc]
    """An event that is encoded once, however many tabs it goes to."""

    @cached_property
    def frame(self) -> str:
        """The event as it goes over the wire, but for the blank line that ends it: an id may come before that."""
        # In JSON, which is one line; django-eventstream's own encoder looks for more.
        return f"event: {self.type}\ndata: {self.data}\n"


@dataclass(slots=True)
class _Ring:
    current_id: int = field(default_factory=lambda: secrets.randbits(62))
    """Id of the newest event. It starts where no other process starts: ids that those gave out are unknown here."""
    events: deque[RingEvent] = field(default_factory=lambda: deque(maxlen=RING_EVENTS))
    used_at: float = field(default_factory=time.monotonic)


class RingStorage(StorageBase):  # type: ignore[misc]
    """The newest events of the channels that somebody watches, or did a moment ago.

    Nothing is lost with them: the database holds every text that was shown, events only say that there is more of it.
    django-eventstream makes one instance per thread, so what they hold is shared by the class.
    """

    _lock = threading.Lock()
    _rings: OrderedDict[str, _Ring] = OrderedDict()

    def append_event(self, channel: str, event_type: str, data: str) -> RingEvent:
        with self._lock:
            ring = self._touch(channel)
            ring.current_id += 1
            event = RingEvent(channel, event_type, data, id=ring.current_id)
            ring.events.append(event)
            return event

    def get_events(self, channel: str, last_id: int, limit: int = 100) -> list[RingEvent]:
        """Return the events after ``last_id``, oldest first.

        Raises:
            EventDoesNotExist: events after it were forgotten, or it was never given out.
        """
        with self._lock:
            ring = self._touch(channel)
            missed = ring.current_id - last_id
            if not 0 <= missed <= len(ring.events):
                raise EventDoesNotExist(f"{channel} has no event {last_id}", ring.current_id)
            return list(islice(reversed(ring.events), missed))[::-1][:limit]

    def get_current_id(self, channel: str) -> int:
        with self._lock:
            return self._touch(channel).current_id

    def knows(self, channel: str) -> bool:
        """Tell whether somebody watches the channel here, or did a moment ago."""
        return channel in self._rings

    def channels(self) -> set[str]:
        """Return the channels that are remembered."""
        with self._lock:
            return set(self._rings)

    def forget(self, channels: Collection[str]) -> None:
        """Forget what happened in these channels: readers that come back are told to fetch the snapshot."""
        with self._lock:
            for channel in channels:
                self._rings.pop(channel, None)

    def forget_unwatched(self, watched: Collection[str]) -> None:
        """Forget the channels that nobody has listened to for a while."""
        long_ago = time.monotonic() - RING_LINGER
        with self._lock:
            for channel, ring in list(self._rings.items()):
                if channel not in watched and ring.used_at < long_ago:
                    del self._rings[channel]

    def _touch(self, channel: str) -> _Ring:
        ring = self._rings.get(channel)
        if ring is None:
            ring = self._rings[channel] = _Ring()
            if len(self._rings) > RING_CHANNELS:
                self._rings.popitem(last=False)
        ring.used_at = time.monotonic()
        self._rings.move_to_end(channel)
        return ring
