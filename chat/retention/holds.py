"""Legal holds: what must be kept, whoever deletes it.

Its owner deletes it as ever: it is gone from their pages, and cannot be restored after a while. The rows stay, and
those who may see holds find them in the admin. Whoever erases asks here first, under the lock of the owner's row, which
a new hold takes, too: nothing goes that was held a moment before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from chat import audit
from chat.audit import Target
from chat.models import Conversation, LegalHold, Message, User
from chat.querysets import ConversationQuerySet

_BATCH = 500
"""Rows of one statement."""


class HeldError(Exception):
    """It was to be erased, and a legal hold keeps it; ``str()`` says so to an administrator."""

    def __init__(self, hold: LegalHold) -> None:
        super().__init__(
            _("A legal hold keeps this (%(reason)s, since %(date)s). Lift it first.")
            % {"reason": hold.reason, "date": timezone.localtime(hold.since).date()}
        )
        self.hold = hold


def set_hold(hold: LegalHold, by: User) -> None:
    """Store a new hold; from its end on nothing that it names is erased. The audit log is told.

    Raises:
        ValidationError: the person or the conversation was deleted meanwhile.
    """
    with transaction.atomic():
        owner = hold.person_id
        if hold.conversation_id:
            rows = Conversation.objects.filter(pk=hold.conversation_id)
            owner = rows.values_list("owner", flat=True).first()
        lock_owner(owner)
        if hold.conversation_id and not Conversation.objects.filter(pk=hold.conversation_id).exists():
            raise ValidationError(_("This conversation was deleted meanwhile."))
        hold.by = by.username
        hold.save()
        audit.append("hold.set", by, _target(hold), **_detail(hold))


def lift(hold: LegalHold, by: User) -> bool:
    """Let the rules and people erase it again; False if somebody else lifted it. The audit log is told."""
    with transaction.atomic():
        active = LegalHold.objects.active().filter(pk=hold.pk)
        if active.update(lifted_at=timezone.now(), lifted_by=by.username) != 1:
            return False
        audit.append("hold.lifted", by, _target(hold), **_detail(hold))
    return True


def lock_owner(pk: int | None) -> None:
    """Keep holds and whoever erases apart until the transaction ends."""
    if pk is not None:
        list(User.objects.select_for_update(no_key=True).filter(pk=pk).values_list("pk"))


def hold_on(conversation: Conversation) -> LegalHold | None:
    """Return a hold that keeps the conversation; None if nothing does."""
    what = Q(person=conversation.owner_id) | Q(conversation=conversation.pk)
    if conversation.set_aside_from_id:
        what |= Q(conversation=conversation.set_aside_from_id)
    return LegalHold.objects.active().filter(what).first()


def holds_on(things: Iterable[Model]) -> list[LegalHold]:
    """Return the holds that keep any of these people and conversations; one query, however many there are."""
    rows = list(things)
    people = [row.pk for row in rows if isinstance(row, User)]
    conversations = [row for row in rows if isinstance(row, Conversation)]
    what = Q(person__in=people) | Q(conversation__owner__in=people)
    what |= Q(person__in={row.owner_id for row in conversations}) | Q(
        conversation__in=[row.pk for row in conversations]
    )
    return list(LegalHold.objects.active().filter(what).distinct())


def hold_on_person(person: User) -> LegalHold | None:
    """Return a hold that keeps the person or any conversation of theirs; None if nothing does."""
    return LegalHold.objects.active().filter(Q(person=person) | Q(conversation__owner=person)).first()


def set_aside(conversation: Conversation, messages: Collection[int]) -> None:
    """Move messages that were to be deleted into a hidden conversation, which the same holds keep.

    It goes like any other that was deleted, once no hold keeps it.
    """
    hidden = Conversation.objects.create(
        owner_id=conversation.owner_id,
        title=conversation.title,
        assistant_id=conversation.assistant_id,
        deleted_at=timezone.now(),
        set_aside_from_id=conversation.set_aside_from_id or conversation.pk,
    )
    kept = sorted(messages)
    for start in range(0, len(kept), _BATCH):
        batch = kept[start : start + _BATCH]
        Message.objects.filter(conversation=conversation, pk__in=batch).update(conversation=hidden)
    # What stays may go before it: then it must not go along.
    hidden.messages.exclude(parent__conversation=hidden).update(parent=None)
    Conversation.objects.filter(pk=hidden.pk).update(leaf=kept[-1])


def held_by(hold: LegalHold) -> ConversationQuerySet:
    """Return what the hold keeps, also what its owner deleted, and what was deleted from it."""
    if hold.person_id:
        return Conversation.objects.filter(owner=hold.person_id)
    return Conversation.objects.filter(Q(pk=hold.conversation_id) | Q(set_aside_from=hold.conversation_id))


def check_conversation(instance: Conversation, **kwargs: object) -> None:
    """Do nothing where it may be erased; a receiver of ``pre_delete``, so that no way leads past it.

    Raises:
        HeldError: a legal hold keeps it.
    """
    if hold := hold_on(instance):
        raise HeldError(hold)


def check_person(instance: User, **kwargs: object) -> None:
    """Do nothing where the person may be deleted; a receiver of ``pre_delete``.

    Raises:
        HeldError: a legal hold keeps the person or a conversation of theirs.
    """
    if hold := hold_on_person(instance):
        raise HeldError(hold)


def _target(hold: LegalHold) -> Target:
    # Not "whose": a person is not told by their own page that something of theirs is kept.
    return Target(kind="legalhold", id=str(hold.pk), name=hold.reason)


def _detail(hold: LegalHold) -> dict[str, object]:
    named = {"person": hold.person_id, "conversation": hold.conversation_id}
    return {name: value for name, value in named.items() if value}
