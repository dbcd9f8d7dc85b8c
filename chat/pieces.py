"""The text of answers that are being written, in pieces: appending one costs the same however long the answer is.

An answer's text is its content and, while it is written, the pieces that follow. They are folded into the content now
and then, and at the end; until then they are rows of their own, many answers' in one statement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import chain, islice

from django.db import connection
from django.db.models import Exists, F, OuterRef, TextField, Value
from django.db.models.functions import Concat

from chat.models import DraftPiece, Message

_APPEND = 'INSERT INTO "chat_draftpiece" ("message_id", "offset", "text") VALUES '
"""The statement that runs for every piece: what ``bulk_create()`` would send, at a quarter of its price."""
_ROWS = 300
"""In one statement: SQLite may be built for no more than 999 parameters."""


def append(pieces: Iterable[tuple[int, int, str]]) -> None:
    """Store pieces: the message, the length of its text so far in code points, and what comes next."""
    rest = iter(pieces)
    with connection.cursor() as cursor:
        while rows := list(islice(rest, _ROWS)):
            cursor.execute(_APPEND + ", ".join(["(%s, %s, %s)"] * len(rows)), list(chain.from_iterable(rows)))


def texts(messages: Collection[int]) -> dict[int, tuple[int, str]]:
    """Return what follows the content of those of the messages that have pieces: its offset, and the text.

    Read the content afterwards: a piece that is folded in between is then found in both, and its offset says so.
    """
    found: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    rows = DraftPiece.objects.filter(message__in=messages).order_by("id").values_list("message", "offset", "text")
    for message, offset, text in rows:
        found[message].append((offset, text))
    return {message: (parts[0][0], "".join(text for _, text in parts)) for message, parts in found.items()}


def fold(messages: Collection[int]) -> None:
    """Put the pieces of these messages into their content, in a transaction that keeps out whoever writes them."""
    for message, (_, text) in texts(messages).items():
        whole = Concat(F("content"), Value(text), output_field=TextField())
        Message.objects.filter(pk=message).update(content=whole)
    DraftPiece.objects.filter(message__in=messages).delete()


def delete_orphans() -> int:
    """Delete what was written of messages while somebody deleted them; return how many pieces."""
    deleted, _ = DraftPiece.objects.filter(~Exists(Message.objects.filter(pk=OuterRef("message")))).delete()
    return deleted
