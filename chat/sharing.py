"""Shared links: a snapshot of the shown branch for whoever has the link, until its owner revokes it or it expires.

A snapshot is a copy: nothing that is said in the conversation later is in it. It holds the title, the texts and the
names of the assistants, and nothing that says who asked.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat import history
from chat.conversations import lock
from chat.models import Conversation, Role, Share, SharedMessage

MOST_LINKS = 20
"""Live links to one conversation."""
_MOST_MESSAGES = 10_000
_ROWS = 500


class NothingToShareError(Exception):
    """The shown branch has no text yet."""


class TooManyLinksError(Exception):
    """There are as many live links to the conversation as there may be."""


class LinkGoneError(Exception):
    """The link opened once, and does not any more: revoked, expired, or its conversation deleted."""


def is_sharing() -> bool:
    """Tell whether links can be made, and open."""
    return settings.CHAT_SHARING in {"public", "signed-in"}


def needs_account() -> bool:
    """Tell whether only people with an account may open a link."""
    return settings.CHAT_SHARING != "public"


@transaction.atomic
def share_conversation(conversation: Conversation, lasts: timedelta | None) -> Share:
    """Make a link to what the conversation shows now, which opens for so long, or until it is revoked.

    Raises:
        NothingToShareError, TooManyLinksError: as they say.
        ConversationGoneError: it was deleted meanwhile.
    """
    lock(conversation)
    if Share.objects.live().filter(conversation=conversation).count() >= MOST_LINKS:
        raise TooManyLinksError
    _forget_expired()
    expires = timezone.now() + lasts if lasts else None
    share = Share.objects.create(conversation=conversation, title=conversation.title, expires_at=expires)
    _store_snapshot(share, conversation)
    return share


@transaction.atomic
def renew_snapshot(share: Share) -> None:
    """Let the same link show what the conversation shows now.

    Raises:
        LinkGoneError: it does not open any more.
        NothingToShareError, ConversationGoneError: as above.
    """
    conversation = share.conversation
    lock(conversation)
    now = timezone.now()
    if Share.objects.live().filter(pk=share.pk).update(title=conversation.title, snapshot_at=now) != 1:
        raise LinkGoneError
    share.messages.all().delete()
    _store_snapshot(share, conversation)


@transaction.atomic
def revoke(share: Share) -> bool:
    """End the link, and delete what it showed; False if it had ended already."""
    ended = Share.objects.filter(pk=share.pk, revoked_at=None).update(revoked_at=timezone.now(), title="") == 1
    SharedMessage.objects.filter(share=share).delete()
    return ended


def open_link(token: str) -> Share | None:
    """Return what the link shows; None where there never was such a link.

    Raises:
        LinkGoneError: it does not open any more.
    """
    share = Share.objects.filter(token=token).select_related("conversation__owner").first()
    if share is None:
        return None
    own = Conversation.objects.owned_by(share.conversation.owner)
    if not share.is_live or not own.filter(pk=share.conversation_id).exists():
        raise LinkGoneError
    return share


def _store_snapshot(share: Share, conversation: Conversation) -> None:
    shown = history.branch(conversation, conversation.leaf_id, _MOST_MESSAGES)
    texts = [message for message in shown if message.content and message.role != Role.SYSTEM]
    if not texts:
        raise NothingToShareError
    rows = (
        SharedMessage(
            share=share,
            position=position,
            role=message.role,
            name=message.generation.assistant_name if hasattr(message, "generation") else "",
            content=message.content,
        )
        for position, message in enumerate(texts)
    )
    SharedMessage.objects.bulk_create(rows, batch_size=_ROWS)


def _forget_expired() -> None:
    """Delete what no link shows any more."""
    SharedMessage.objects.filter(share__expires_at__lte=timezone.now()).delete()
