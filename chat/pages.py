"""What the pages show of a conversation: its turns."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.safestring import SafeString

from backends import chat_backends
from chat import history
from chat.generation import is_continuable
from chat.markdown import render
from chat.models import Assistant, Conversation, Feedback, Generation, Message, Role
from chat.parameters import PARAMETERS
from chat.wording import Notice, notice_for, stage_for


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
    lacks_answer: bool
    """Whether it is a question at the end of the shown branch: its answer was deleted, or a fork ends with it."""
    stage: str | Promise
    """Why there is no text yet; empty where there is, or the answer is over."""
    feedback: Feedback | None
    """What the owner of the conversation thinks of it."""

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
    """Return the messages as turns, without those that were deleted meanwhile; two queries more, however many."""
    families = history.siblings(conversation, messages)
    opinions = _opinions(conversation, messages)
    there = [message for message in messages if message.pk in families[message.pk]]
    return [_turn(conversation, message, families[message.pk], opinions.get(message.pk)) for message in there]


def _opinions(conversation: Conversation, messages: list[Message]) -> dict[int, Feedback]:
    """Return the owner's feedback by message; no query where there are no answers to have any, as after sending."""
    generations = map(_generation_of, messages)
    over = [generation.pk for generation in generations if generation and not generation.is_running]
    if not over:
        return {}
    given = Feedback.objects.filter(message__in=over, person=conversation.owner_id)
    return {feedback.message_id: feedback for feedback in given}


def _generation_of(message: Message) -> Generation | None:
    # The database need not be asked for that of a question.
    return getattr(message, "generation", None) if message.role == Role.ASSISTANT else None


def _turn(conversation: Conversation, message: Message, family: list[int], feedback: Feedback | None) -> Turn:
    generation = _generation_of(message)
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
        lacks_answer=message.pk == conversation.leaf_id and message.role == Role.USER,
        feedback=feedback,
        stage=stage_for(generation) if generation and generation.is_running and not message.content else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """How an answer came to be, for who asks for it."""

    generation: Generation
    source: str
    """What the backend is called."""
    ending: str | Promise
    cost: str
    """With its currency; empty where it cost nothing."""
    parameters: list[tuple[str, str]]


def details(generation: Generation) -> Details:
    """Return what is known of an answer; no query. Prompts of the administrator are not for readers."""
    given = {name: value for name, value in generation.parameters.items() if name != "system_prompt"}
    notice = notice_for(generation)
    return Details(
        generation=generation,
        source=chat_backends.label(generation.backend),
        ending=notice.text if notice else generation.get_status_display().capitalize(),
        cost=_money(generation.cost) if generation.cost else "",
        parameters=[(_parameter_name(name), _parameter_value(value)) for name, value in given.items()],
    )


def _money(amount: Decimal) -> str:
    """Return an amount with all its digits that say something, and at least two."""
    digits = max(2, -int(amount.normalize().as_tuple().exponent))
    return f"{number_format(amount, digits)} {settings.CHAT_CURRENCY}"


def _parameter_name(name: str) -> str:
    """Return the name that people or else the administrator see, or for one of an older version the stored one."""
    if name in PARAMETERS:
        return str(PARAMETERS[name].label)
    fields = {field.name: field for field in Assistant._meta.concrete_fields}
    return str(fields[name].verbose_name) if name in fields else name


def _parameter_value(value: Any) -> str:
    return ", ".join(map(repr, value)) if isinstance(value, list) else str(value)
