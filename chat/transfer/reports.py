"""The first look at an upload: what is in it, and what an import would do. Nothing is imported by looking."""

from __future__ import annotations

from typing import Any, BinaryIO

from django.conf import settings
from django.db import IntegrityError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat.models import ImportBatch, ImportedConversation, User
from chat.transfer import uploads
from chat.transfer.formats import format_of
from chat.transfer.json_pieces import Piece
from chat.transfer.matching import Candidate, Match, matches
from chat.transfer.shape import as_json
from chat.transfer.values import UnreadableError, name, text

_CHUNK_TEXT = 4_000_000
_CHUNK_ITEMS = 100
"""What is held at once: characters and conversations, whichever is reached first."""
_UNFINISHED = (ImportBatch.Status.READING, ImportBatch.Status.READY)
Plan = ImportedConversation.Plan


def read_upload(owner: User, file: BinaryIO, file_name: str) -> ImportBatch:
    """Read the file, and store what is in it and what would be done with it.

    An upload of the owner's that was read and never imported is forgotten.

    Raises:
        UnreadableError: there is no conversation in it that we know.
    """
    batch = ImportBatch.objects.create(owner=owner, file_name=text(file_name, 200) or "?")
    try:
        batch.problems = _read_items(batch, file)
    except UnreadableError:
        batch.delete()
        raise
    batch.status = ImportBatch.Status.READY
    batch.save()
    ImportBatch.objects.filter(owner=owner, status__in=_UNFINISHED).exclude(pk=batch.pk).delete()
    return batch


def _read_items(batch: ImportBatch, file: BinaryIO) -> list[str]:
    """Store the conversations of the file; return what is wrong with it as a whole."""
    problems: list[str] = []
    reader = _Reader(batch)
    try:
        for piece in uploads.conversations(file, settings.CHAT_IMPORT_MAX_MB * 1_000_000):
            reader.take(piece)
    except UnreadableError as error:
        problems.append(str(error))
    reader.flush()
    if not reader.position:
        unknown = _("There are no conversations in it of a kind that we know.")
        raise UnreadableError(problems[0] if problems else unknown)
    if reader.unknown:
        words = ngettext(
            "%d entry is no conversation that we know.", "%d entries are no conversations that we know.", reader.unknown
        )
        problems.append(words % reader.unknown)
    return problems


class _Reader:
    """Takes the pieces of a file, and stores what they are, some at a time."""

    def __init__(self, batch: ImportBatch) -> None:
        self.batch = batch
        self.position = self.unknown = self.text = 0
        self.seen: set[tuple[str, str]] = set()
        self.items: list[ImportedConversation] = []
        self.candidates: list[tuple[ImportedConversation, Candidate]] = []
        """What is to be compared with what is there."""

    def take(self, piece: Piece) -> None:
        known = format_of(piece.data) if piece.data is not None else None
        if piece.data is not None and known is None:
            self.unknown += 1
            return
        self.position += 1
        item = ImportedConversation(batch=self.batch, position=self.position)
        self.items.append(item)
        try:
            if piece.data is None or known is None:
                raise UnreadableError(piece.reason)
            reading = known.read(piece.data)
        except UnreadableError as error:
            _refuse(item, piece.data or {}, str(error))
        else:
            candidate = Candidate(known.name, reading.conversation)
            _describe(item, candidate, reading.notes)
            self.candidates.append((item, candidate))
            self.text += len(item.payload)
        if self.text > _CHUNK_TEXT or len(self.items) >= _CHUNK_ITEMS:
            self.flush()

    def flush(self) -> None:
        """Store what was taken, compared with what is there.

        Raises:
            UnreadableError: the batch is gone, as its owner uploaded another file.
        """
        found = matches(self.batch.owner, [candidate for _item, candidate in self.candidates])
        for (item, candidate), match in zip(self.candidates, found, strict=True):
            plan(item, candidate, match)
            if (item.source, item.source_id) in self.seen:
                item.plan, item.fresh, item.payload = Plan.KNOWN, 0, ""
                item.notes.append(_("It is in this file twice."))
            self.seen.add((item.source, item.source_id))
        try:
            ImportedConversation.objects.bulk_create(self.items)
        except IntegrityError as error:
            raise UnreadableError(_("Another file was uploaded meanwhile.")) from error
        self.items, self.candidates, self.text = [], [], 0


def _refuse(item: ImportedConversation, data: dict[str, Any], reason: str) -> None:
    item.plan = Plan.REFUSED
    item.title = text(data.get("title"), 200) or name(data.get("id")) or ""
    item.notes = [reason]


def _describe(item: ImportedConversation, candidate: Candidate, notes: list[str]) -> None:
    carried = candidate.carried
    item.source, item.source_id, item.title = candidate.source, carried.id, carried.title
    item.messages, item.branches = len(carried.messages), carried.branches
    item.payload = as_json(carried)
    item.notes = notes


def plan(item: ImportedConversation, candidate: Candidate, match: Match | None) -> None:
    """Say on the item what is to be done, given what is there."""
    item.fresh = len(candidate.carried.messages) - (len(match.known) if match else 0)
    if match is None:
        item.plan = Plan.NEW
    elif item.fresh:
        item.plan = Plan.MORE
    else:
        item.plan, item.payload = Plan.KNOWN, ""
