"""What the pages show: turns of a conversation, and the list of conversations by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from backends import chat_backends
from chat import history
from chat.generation import is_continuable
from chat.markdown import render
from chat.models import Conversation, Generation, Message, Role, User
from chat.wording import Notice, notice_for, stage_for

SIDEBAR_CONVERSATIONS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A message as a page shows it, with its place among its siblings."""

    message: Message
    generation: Generation | None
    html: SafeString
    position: int
    """1 is the oldest sibling."""
    total: int
    previous: int | None
    """The id of the sibling before it."""
    next: int | None
    notice: Notice | None
    can_continue: bool
    """Whether it was cut and is the last one: it can go on where it stopped."""
    stage: str | Promise
    """Why there is no text yet; empty where there is, or the answer is over."""

    @property
    def by(self) -> str:
        """The name of the assistant at the time."""
        return self.generation.assistant_name if self.generation else ""

    @property
    def source(self) -> str:
        """What wrote it, such as "Built-in guide", where the name of the assistant does not say so."""
        label = chat_backends.label(self.generation.backend) if self.generation else ""
        return label if label != self.by else ""

    @property
    def avatar(self) -> str:
        """The avatar of the assistant as it is today; empty where it has none or is gone."""
        assistant = self.generation.assistant if self.generation else None
        return assistant.avatar if assistant else ""

    @property
    def is_running(self) -> bool:
        return self.generation is not None and self.generation.is_running


def turns(conversation: Conversation, messages: list[Message]) -> list[Turn]:
    """Return the messages as turns; one query more, however many there are."""
    families = history.siblings(conversation, messages)
    return [_turn(conversation, message, families[message.pk]) for message in messages]


def _turn(conversation: Conversation, message: Message, family: list[int]) -> Turn:
    generation: Generation | None = getattr(message, "generation", None)
    place = family.index(message.pk)
    return Turn(
        message=message,
        generation=generation,
        html=render(message.content) if message.role == Role.ASSISTANT else SafeString(),
        position=place + 1,
        total=len(family),
        previous=family[place - 1] if place > 0 else None,
        next=family[place + 1] if place + 1 < len(family) else None,
        notice=notice_for(generation) if generation else None,
        can_continue=message.pk == conversation.leaf_id and is_continuable(message),
        stage=stage_for(generation) if generation and generation.is_running and not message.content else "",
    )


def sidebar(user: User) -> list[tuple[str | Promise, list[Conversation]]]:
    """Return the newest conversations of a person under headings, pinned ones first; one query."""
    running = Generation.objects.unfinished().filter(message__conversation=OuterRef("pk"))
    newest = Conversation.objects.owned_by(user).filter(is_archived=False).annotate(is_running=Exists(running))
    groups: dict[str | Promise, list[Conversation]] = {}
    today = timezone.localdate()
    for conversation in newest.order_by("-is_pinned", "-updated_at")[:SIDEBAR_CONVERSATIONS]:
        age = today - timezone.localdate(conversation.updated_at)
        heading = _("Pinned") if conversation.is_pinned else _heading(age)
        groups.setdefault(heading, []).append(conversation)
    return list(groups.items())


def _heading(age: timedelta) -> Promise:
    if age.days <= 0:
        return _("Today")
    if age.days == 1:
        return _("Yesterday")
    if age.days < 7:
        return _("Previous 7 days")
    if age.days < 30:
        return _("Previous 30 days")
    return _("Older")
