"""From an event to the open pages of this process."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from django_eventstream.event import Event
from django_eventstream.views import get_listener_manager

from chat.events.ring import RingStorage

ring = RingStorage()


class Encoded(NamedTuple):
    """An event for a channel, its data in JSON."""

    channel: str
    event: str
    data: str


def is_heard(channel: str) -> bool:
    """Tell whether somebody listens to the channel here, or did a moment ago."""
    # The ring may have forgotten a channel that somebody listens to: the page is told so by the next event.
    return ring.knows(channel) or channel in get_listener_manager().listeners_by_channel


def deliver(message: Encoded) -> None:
    """Tell the open pages, if there are any here, or were a moment ago."""
    if is_heard(message.channel):
        event = ring.append_event(message.channel, message.event, message.data)
        get_listener_manager().add_to_queues(message.channel, event)


def remember(channels: Collection[str]) -> None:
    """Begin to remember what happens in these channels, where that is not done already."""
    for channel in channels:
        ring.get_current_id(channel)


def remembered() -> set[str]:
    """Return the channels that somebody listens to here, or did a moment ago."""
    return ring.channels() | watched_channels()


def forget(channels: Collection[str]) -> None:
    """Forget what was told in these channels, of which something may be missing: their pages fetch the snapshot."""
    ring.forget(channels)
    # They are remembered from now on, under new ids: forgotten for good, nobody would hear of them any more.
    remember(channels)
    for channel in channels:
        get_listener_manager().add_to_queues(channel, Event(channel, "", ""))


def watched_channels() -> set[str]:
    """Return the channels that somebody listens to here."""
    manager = get_listener_manager()
    with manager.lock:
        return set(manager.listeners_by_channel)
