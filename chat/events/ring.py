"""The newest events of each channel, in memory."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

from django_eventstream.event import Event
from django_eventstream.storage import EventDoesNotExist, StorageBase

RING_EVENTS = 256
"""Events that a channel remembers for a tab that comes back; one that was away for longer fetches the snapshot."""
RING_CHANNELS = 20_000
"""Channels that are remembered; the one unused for longest goes first."""
RING_LINGER = 60.0
"""Seconds for which a channel is remembered that nobody listens to."""


def frame_of(event_type: str, data: str) -> str:
    """Return the event as it goes over the wire, but for the blank line that ends it: an id may come before that."""
    # In JSON, which is one line; django-eventstream's own encoder looks for more.
    return f"event: {event_type}\ndata: {data}\n"


@dataclass(slots=True)
class _Ring:
    current_id: int = field(default_factory=lambda: secrets.randbits(62))
    """Id of the newest event. It starts where no other process starts: ids that those gave out are unknown here."""
    frames: list[str] = field(default_factory=list)
    """Of the newest events. As texts, which the garbage collector passes over: there may be millions."""
    used_at: float = field(default_factory=time.monotonic)


class RingStorage(StorageBase):  # type: ignore[misc]
    """The newest events of the channels that somebody watches, or did a moment ago.

    Nothing is lost with them: the database holds every text that was shown, events only say that there is more of it.
    django-eventstream makes one instance per thread, so what they hold is shared by the class.
    """

    _lock = threading.Lock()
    _rings: OrderedDict[str, _Ring] = OrderedDict()

    def append_event(self, channel: str, event_type: str, data: str) -> Event:
        frame = frame_of(event_type, data)
        with self._lock:
            ring = self._touch(channel)
            ring.current_id += 1
            ring.frames.append(frame)
            del ring.frames[:-RING_EVENTS]
            return Event(channel, event_type, data, id=ring.current_id)

    def get_frames(self, channel: str, last_id: int) -> tuple[list[str], int]:
        """Return the frames of the events after ``last_id``, oldest first, and the id of the newest one.

        Raises:
            EventDoesNotExist: events after it were forgotten, or it was never given out.
        """
        with self._lock:
            ring = self._touch(channel)
            missed = ring.current_id - last_id
            if not 0 <= missed <= len(ring.frames):
                raise EventDoesNotExist(f"{channel} has no event {last_id}", ring.current_id)
            return ring.frames[len(ring.frames) - missed :], ring.current_id

    def get_events(self, channel: str, last_id: int, limit: int = 100) -> list[Event]:
        """Return the same events as django-eventstream has them, the first ``limit`` of them."""
        frames, _ = self.get_frames(channel, last_id)
        fields = [[line.partition(": ")[2] for line in frame.splitlines()] for frame in frames[:limit]]
        return [Event(channel, *pair, id=last_id + number) for number, pair in enumerate(fields, start=1)]

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
