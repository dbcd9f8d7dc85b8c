"""What the browser hears: the only package that knows django-eventstream.

Events of a conversation go to the channel ``conversation-<uuid>``, those of a person's list to ``user-<pk>``; a page
listens to both through one EventSource. docs/streaming.md describes events, offsets and the resume rule.
"""

from chat.events.channels import LIVE, LIVE_WITH_TITLES, ChannelManager, conversation_channel, user_channel
from chat.events.publishing import (
    Message,
    current_event_id,
    forget_unwatched,
    is_watched,
    publish,
    publish_all,
    publish_here,
    tell_everybody,
)
from chat.events.relay import relay
from chat.events.ring import RING_EVENTS, RingStorage
from chat.events.streams import end_all_streams, end_revoked_streams, event_response, open_stream_count

__all__ = [
    "LIVE",
    "LIVE_WITH_TITLES",
    "RING_EVENTS",
    "ChannelManager",
    "Message",
    "RingStorage",
    "conversation_channel",
    "current_event_id",
    "end_all_streams",
    "end_revoked_streams",
    "event_response",
    "forget_unwatched",
    "is_watched",
    "open_stream_count",
    "publish",
    "publish_all",
    "publish_here",
    "relay",
    "tell_everybody",
    "user_channel",
]
