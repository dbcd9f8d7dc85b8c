"""What others did with what is somebody's: for that person to see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from chat.models import AuditEntry, Conversation, Message, User

_WORDS: dict[tuple[str, str], str | Promise] = {
    ("transcript", "read"): _("Read a conversation"),
    ("transcript", "rehearsed"): _("Used a conversation to try out a change of an assistant"),
    ("generation", "cancelled"): _("Cancelled an answer"),
    ("feedback", "exported"): _("Exported answers that you rated, with the conversation before them"),
}
_OF_ANSWERS = {"generation", "message"}
_EXPORTED = _("Exported your data")
_OTHER = _("Did something with your data: %(action)s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One thing that somebody did, as its owner reads of it."""

    at: datetime
    who: str
    what: str | Promise
    reason: str
    ticket: str
    conversation: Conversation | None
    """None where it was deleted since, or it is about more than one."""
    is_about_one: bool


def entries_about(person: User) -> QuerySet[AuditEntry]:
    """Return what others did with what is this person's, the newest first."""
    return AuditEntry.objects.filter(concerns_id=person.pk).filter(~Q(actor_id=person.pk) | Q(actor_id=None))


def looks(entries: Iterable[AuditEntry], person: User) -> list[Look]:
    """Return these entries in words, with the conversations that the person still has; two queries, however many."""
    entries = list(entries)
    answers = {entry.target_id for entry in entries if entry.target_type in _OF_ANSWERS}
    of_answer = dict(
        Message.objects.owned_by(person)
        .filter(pk__in=[pk for pk in answers if pk.isdecimal()])
        .values_list("pk", "conversation")
    )
    about = {entry.number: _conversation_id(entry, of_answer) for entry in entries}
    own = Conversation.objects.owned_by(person).in_bulk({pk for pk in about.values() if pk})
    return [_look(entry, own.get(about[entry.number] or UUID(int=0))) for entry in entries]


def mark_read(person: User) -> None:
    """Let the notice of something new go, now that they have read the list."""
    User.objects.filter(pk=person.pk, has_new_looks=True).update(has_new_looks=False)


def _conversation_id(entry: AuditEntry, of_answer: dict[int, UUID]) -> UUID | None:
    if entry.target_type == "conversation":
        try:
            return UUID(entry.target_id)
        except ValueError:
            return None
    is_answer = entry.target_type in _OF_ANSWERS and entry.target_id.isdecimal()
    return of_answer.get(int(entry.target_id)) if is_answer else None


def _look(entry: AuditEntry, conversation: Conversation | None) -> Look:
    kind, _dot, act = entry.action.partition(".")
    what = _WORDS.get((kind, act)) or (_EXPORTED if "export" in entry.action else _OTHER % {"action": entry.action})
    detail = entry.detail if isinstance(entry.detail, dict) else {}
    return Look(
        at=entry.at,
        who=entry.actor,
        what=what,
        reason=str(detail.get("reason", "")),
        ticket=str(detail.get("ticket", "")),
        conversation=conversation,
        is_about_one=entry.target_type == "conversation" or entry.target_type in _OF_ANSWERS,
    )
