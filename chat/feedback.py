"""What a person thinks of an answer: given, changed, taken back."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from chat.models import REASONS, Feedback, Message, User
from chat.refusals import MessageGoneError


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """A rating, and why; None leaves what was said before."""

    value: int
    reasons: list[str] | None = None
    comment: str | None = None
    shares_exchange: bool | None = None
    """Whether administrators may read the conversation up to the answer."""


def give_feedback(message: Message, person: User, opinion: Opinion) -> Feedback:
    """Store what the person thinks of the answer, in place of what they thought before.

    Raises:
        MessageGoneError: the answer was deleted meanwhile.
    """
    try:
        with transaction.atomic():
            new = Feedback(message=message, person=person, value=opinion.value)
            feedback = Feedback.objects.select_for_update().filter(message=message, person=person).first() or new
            feedback.value = opinion.value
            reasons = feedback.reasons if opinion.reasons is None else opinion.reasons
            feedback.reasons = [reason for reason in reasons if reason in REASONS[opinion.value]]
            feedback.comment = feedback.comment if opinion.comment is None else opinion.comment
            if opinion.shares_exchange is not None:
                feedback.shares_exchange = opinion.shares_exchange
            feedback.updated_at = timezone.now()
            feedback.save()
    except IntegrityError as error:
        if not Message.objects.filter(pk=message.pk).exists():
            raise MessageGoneError from error
        if not Feedback.objects.filter(message=message, person=person).exists():
            raise
        # The same person was quicker in another tab: now there is a row to change.
        return give_feedback(message, person, opinion)
    return feedback


def take_back(message: Message, person: User) -> None:
    """Forget what the person thinks of the answer. Harmless where there is nothing."""
    Feedback.objects.filter(message=message, person=person).delete()
