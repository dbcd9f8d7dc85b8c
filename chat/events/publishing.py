"""Telling the open pages, of this process and of the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from django.core.serializers.json import DjangoJSONEncoder
from django_eventstream.utils import make_id

from chat.events.channels import is_of_user
from chat.events.delivery import Encoded, deliver, is_heard, ring, watched_channels
from chat.events.relay import relay

_encode = DjangoJSONEncoder().encode


class Message(NamedTuple):
    """An event for a channel. What its data say is stored before it is published."""

    channel: str
    event: str
    data: dict[str, Any]


def publish(channel: str, event: str, data: dict[str, Any]) -> None:
    """Tell every open page on the channel."""
    publish_all([Message(channel, event, data)])


def publish_all(messages: Iterable[Message]) -> None:
    """Tell the open pages, in this order. Never fails: a page that misses something fetches the snapshot."""
    encoded = [
        Encoded(channel, event, _encode(data))
        for channel, event, data in messages
        if relay.is_wanted or is_heard(channel)
    ]
    for message in encoded:
        deliver(message)
    relay.send(encoded)


def publish_here(channel: str, event: str, data: dict[str, Any]) -> None:
    """Tell the open pages of this process alone: the others tell their own."""
    deliver(Encoded(channel, event, _encode(data)))


def is_watched(channel: str) -> bool:
    """Tell whether somebody listens to the channel in this process."""
    return channel in watched_channels()


def tell_everybody(event: str, data: dict[str, Any]) -> None:
    """Tell every open page of this process, whoever looks at it; the other processes tell theirs."""
    encoded = _encode(data)
    for channel in watched_channels():
        if is_of_user(channel):
            deliver(Encoded(channel, event, encoded))


def current_event_id(channels: Collection[str]) -> str:
    """Return the place in the channels from which a page goes on.

    Take it before reading the text from the database: what happens in between is then heard twice, which the offsets
    sort out, and never missed.
    """
    relay.watch(channels)
    return str(make_id({channel: ring.get_current_id(channel) for channel in channels}))


def forget_unwatched() -> None:
    """Forget the channels to which nobody has listened for a while, and hear of them no more."""
    ring.forget_unwatched(watched_channels())
    relay.unwatch_forgotten()
