"""From an event to the open pages of this process."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from django_eventstream.views import get_listener_manager

from chat.events.ring import RingEvent, RingStorage

ring = RingStorage()


class Encoded(NamedTuple):
    """An event for a channel, its data in JSON."""

    channel: str
    event: str
    data: str


def deliver(message: Encoded) -> None:
    """Tell the open pages, if there are any here, or were a moment ago."""
    if ring.knows(message.channel):
        event = ring.append_event(message.channel, message.event, message.data)
        get_listener_manager().add_to_queues(message.channel, event)


def forget(channels: Collection[str]) -> None:
    """Forget what was told in these channels, of which something may be missing: their pages fetch the snapshot."""
    ring.forget(channels)
    for channel in channels:
        get_listener_manager().add_to_queues(channel, RingEvent(channel, "", ""))


def watched_channels() -> set[str]:
    """Return the channels that somebody listens to here."""
    manager = get_listener_manager()
    with manager.lock:
        return set(manager.listeners_by_channel)
