"""A conversation that goes on from a message of another one."""

from __future__ import annotations

from copy import copy

from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from chat import history
from chat.conversations import lock, publish_conversation
from chat.models import Conversation, Generation, Message
from chat.refusals import ConversationBusyError, MessageGoneError

EVERYTHING = 100_000
"""More messages than a branch has."""


def fork_conversation(message: Message) -> Conversation:
    """Make a conversation of the same owner from the branch up to this message, and tell their open pages.

    Texts, times and facts of the answers are copied; the copies cost nothing and are marked as copies, so that no token
    is counted twice. What happens in one of the two conversations from then on does not touch the other.

    Raises:
        ConversationBusyError: an answer on that branch is being written.
        ConversationGoneError: the conversation was deleted meanwhile.
        MessageGoneError: the message was.
    """
    origin = message.conversation
    with transaction.atomic():
        lock(origin)
        branch = history.branch(origin, message.pk, EVERYTHING)
        if not branch:
            raise MessageGoneError
        answers = [answer for answer in (getattr(item, "generation", None) for item in branch) if answer]
        if any(answer.is_running for answer in answers):
            raise ConversationBusyError
        fork = Conversation.objects.create(owner=origin.owner, title=_title(origin), assistant=origin.assistant)
        _copy_messages(branch, fork)
        transaction.on_commit(lambda: publish_conversation(fork))
    return fork


def _title(origin: Conversation) -> str:
    ending = _("(fork)")
    room = (Conversation._meta.get_field("title").max_length or 0) - len(ending) - 1
    return f"{origin.title[:room].rstrip()} {ending}"


def _copy_messages(branch: list[Message], fork: Conversation) -> None:
    """Store copies of the branch and of its answers' generations, in a number of statements that does not grow."""
    copies = Message.objects.bulk_create(
        Message(conversation=fork, role=item.role, content=item.content, created_at=item.created_at) for item in branch
    )
    # Ids grow in the order of the branch: the parent of each is the one before it.
    before = Message.objects.filter(conversation=fork, pk__lt=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    Message.objects.filter(conversation=fork).update(parent=Subquery(before))
    generations = [
        _copy_of(item.generation, new) for item, new in zip(branch, copies, strict=True) if hasattr(item, "generation")
    ]
    Generation.objects.bulk_create(generations)
    Conversation.objects.filter(pk=fork.pk).update(leaf=copies[-1], updated_at=timezone.now())


def _copy_of(generation: Generation, message: Message) -> Generation:
    new = copy(generation)
    new._state = copy(generation._state)
    new._state.adding = True
    new.message = message
    new.cost = Generation._meta.get_field("cost").get_default()
    new.is_copy = True
    new.worker = ""
    return new
