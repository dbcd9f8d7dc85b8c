"""The index on PostgreSQL: an array of the numbers for each passage, and a GIN index over them.

GIN finds all candidates, in no order. Of a common word that may be half of what a person has, and only the newest are
wanted: so it is asked for the newest part first, which a number of its own marks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from chat.search.grams import number
from chat.search.passages import Passage, Wanted

BLOCK = 4096
"""Neighbouring ids that share a number."""
NEWEST = 2000
"""Messages of a person among which the newest candidates are looked for first."""
MOST_BLOCKS = 32
"""Where other people's messages lie between so that there would be more blocks, this is no shorter way."""


class PostgreSQLIndex:
    def put(self, passages: Iterable[Passage]) -> None:
        rows = [(passage.pk, passage.owner, _numbers(passage)) for passage in passages]
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO chat_search (id, owner_id, grams) VALUES (%s, %s, %s::integer[])"
                " ON CONFLICT (id) DO UPDATE SET grams = excluded.grams",
                rows,
            )

    def remove(self, passages: Iterable[Passage]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM chat_search WHERE id = ANY(%s)", [[passage.pk for passage in passages]])

    def known(self, pks: Collection[int]) -> set[int]:
        return set(self._ids("SELECT id FROM chat_search WHERE id = ANY(%s)", [list(pks)]))

    def newest(self, wanted: Wanted) -> list[int]:
        blocks = None if wanted.titles else self._newest_blocks(wanted)
        with _by_gin():
            if blocks:
                found = self._candidates(wanted, blocks)
                if len(found) == wanted.count:
                    return found
            return self._candidates(wanted)

    def _newest_blocks(self, wanted: Wanted) -> list[int] | None:
        """Return the numbers of the blocks with the newest messages; None where these are few, or far apart."""
        older = "" if wanted.before is None else "AND id < %s"
        sql = (
            "SELECT min(id), max(id), count(*) FROM"  # noqa: S608
            f" (SELECT id FROM chat_search WHERE owner_id = %s AND id > 0 {older} ORDER BY id DESC LIMIT %s) newest"
        )
        parameters = [wanted.owner, *([] if wanted.before is None else [wanted.before]), NEWEST]
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            oldest, newest, count = cursor.fetchone()
        if count < NEWEST or newest // BLOCK - oldest // BLOCK >= MOST_BLOCKS:
            return None
        return [_block(at * BLOCK) for at in range(oldest // BLOCK, newest // BLOCK + 1)]

    def _candidates(self, wanted: Wanted, blocks: list[int] | None = None) -> list[int]:
        where, parameters = ["grams @> %s::integer[]"], [_signed(wanted.all_grams)]  # type: list[str], list[Any]
        if blocks:
            where.append("grams && %s::integer[]")
            parameters.append(blocks)
        if wanted.before is not None:
            where.append("id > %s" if wanted.titles else "id < %s")
            parameters.append(-wanted.before if wanted.titles else wanted.before)
        order = "ASC" if wanted.titles else "DESC"
        sql = f"SELECT id FROM chat_search WHERE {' AND '.join(where)} ORDER BY id {order} LIMIT %s"  # noqa: S608
        return self._ids(sql, [*parameters, wanted.count])

    def _ids(self, sql: str, parameters: list[Any]) -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return [pk for (pk,) in cursor]

    def clear(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE chat_search")

    def optimize(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE chat_search")


@contextmanager
def _by_gin() -> Iterator[None]:
    """Keep the planner from reading all rows: it does not know that numbers go together, and what an array costs."""
    names = ("enable_seqscan", "enable_indexscan")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET LOCAL {name} = off" for name in names))
        yield
        cursor.execute("; ".join(f"SET LOCAL {name} = DEFAULT" for name in names))


def _numbers(passage: Passage) -> list[int]:
    return [*_signed(passage.grams), _block(passage.pk)]


def _block(pk: int) -> int:
    return _signed([number(f"block {pk // BLOCK}")])[0]


def _signed(numbers: Iterable[int]) -> list[int]:
    """Return the numbers as PostgreSQL's integers have them."""
    return [number - (1 << 32) if number >> 31 else number for number in numbers]
