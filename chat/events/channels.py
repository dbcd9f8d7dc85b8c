"""The channels, and who may read them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django_eventstream.channelmanager import ChannelManagerBase


class ChannelManager(ChannelManagerBase):  # type: ignore[misc]
    """Admits nobody: django-eventstream's own views, were they ever reachable, give out nothing.

    Its default lets everybody read every channel that the address names. Our views name the channels themselves, of
    which the reader is the owner.
    """

    def get_channels_for_request(self, request: HttpRequest, view_kwargs: dict[str, Any]) -> set[str]:
        return set()

    def can_read_channel(self, user: object, channel: str) -> bool:
        return False

    def is_channel_reliable(self, channel: str) -> bool:
        return True


LIVE = "live"
"""What is going on, for administrators."""
LIVE_WITH_TITLES = "live-titles"
"""The same, for those who may see the titles of other people's conversations."""


def conversation_channel(pk: UUID) -> str:
    return f"conversation-{pk}"


def user_channel(pk: int) -> str:
    return f"user-{pk}"


def is_of_user(channel: str) -> bool:
    """Tell whether it is a person's own channel, to which each of their open pages listens."""
    return channel.startswith("user-")
