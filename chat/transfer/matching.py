"""What of an upload is there already."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chat.models import Conversation, ImportedConversation, Message, User
from chat.transfer.shape import CarriedConversation
from chat.transfer.storing import key_of


class Candidate(NamedTuple):
    """A conversation that was read, and the name of its format."""

    source: str
    carried: CarriedConversation


class Match(NamedTuple):
    """The conversation that one was imported into before, or was exported from, and which messages it has."""

    conversation: uuid.UUID
    known: dict[str, int]
    """The ids of the messages, by what they are called in the upload."""


def matches(owner: User, candidates: Sequence[Candidate]) -> list[Match | None]:
    """Return for each of these what the owner has of it; three queries, however many there are."""
    imported = _imported(owner, candidates)
    own = _own(owner, candidates)
    found = [
        imported.get((candidate.source, candidate.carried.id)) or own.get(candidate.carried.id)
        for candidate in candidates
    ]
    rows = _messages(pk for pk in found if pk)
    return [
        Match(pk, _known(pk, candidate, rows[pk])) if pk else None
        for pk, candidate in zip(found, candidates, strict=True)
    ]


def _imported(owner: User, candidates: Sequence[Candidate]) -> dict[tuple[str, str], uuid.UUID]:
    names = {candidate.carried.id for candidate in candidates}
    own = Conversation.objects.owned_by(owner)
    there = ImportedConversation.objects.there(own).filter(source_id__in=names).order_by("pk")
    return {
        (source, name): pk
        for source, name, pk in there.values_list("source", "source_id", "conversation")
        if pk is not None
    }


def _own(owner: User, candidates: Sequence[Candidate]) -> dict[str, uuid.UUID]:
    """Return the conversations that were exported here, from the same account."""
    names: dict[uuid.UUID, str] = {}
    for candidate in candidates:
        if candidate.source == "chatsite" and (pk := _uuid(candidate.carried.id)):
            names[pk] = candidate.carried.id
    own = Conversation.objects.owned_by(owner).filter(pk__in=list(names))
    return {names[pk]: pk for pk in own.values_list("pk", flat=True)}


def _uuid(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(name)
    except ValueError:
        return None


class _Row(NamedTuple):
    pk: int
    key: uuid.UUID | None
    role: str


def _messages(conversations: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[_Row]]:
    rows: defaultdict[uuid.UUID, list[_Row]] = defaultdict(list)
    found = Message.objects.filter(conversation__in=set(conversations))
    for conversation, pk, key, role in found.values_list("conversation", "pk", "key", "role"):
        rows[conversation].append(_Row(pk, key, role))
    return rows


def _known(conversation: uuid.UUID, candidate: Candidate, rows: list[_Row]) -> dict[str, int]:
    by_key = {row.key: row.pk for row in rows if row.key}
    by_name = {str(row.pk): row for row in rows} if str(conversation) == candidate.carried.id else {}
    known: dict[str, int] = {}
    for message in candidate.carried.messages:
        row = by_name.get(message.id)
        if pk := by_key.get(key_of(conversation, message.id)):
            known[message.id] = pk
        elif row and row.role == message.role:
            known[message.id] = row.pk
    return known
