"""The index on SQLite: an FTS5 table without contents, whose words are the numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import connection

from chat.search.passages import Passage, Wanted

_CHUNK = 500


def has_fts5() -> bool:
    """Tell whether this SQLite was built with FTS5."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'")
        return cursor.fetchone() is not None


class SQLiteIndex:
    def put(self, passages: Iterable[Passage]) -> None:
        # One that is there already has two entries then, of which the newer one has all that the older one has.
        self._write("INSERT INTO chat_search (rowid, grams) VALUES (%s, %s)", passages)

    def remove(self, passages: Iterable[Passage]) -> None:
        self._write("INSERT INTO chat_search (chat_search, rowid, grams) VALUES ('delete', %s, %s)", passages)

    def _write(self, sql: str, passages: Iterable[Passage]) -> None:
        rows = [(passage.pk, " ".join(map("{:x}".format, passage.grams))) for passage in passages]
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(sql, rows)

    def known(self, pks: Collection[int]) -> set[int]:
        wanted = list(pks)
        found: set[int] = set()
        with connection.cursor() as cursor:
            for at in range(0, len(wanted), _CHUNK):
                chunk = wanted[at : at + _CHUNK]
                marks = ", ".join(["%s"] * len(chunk))
                cursor.execute(f"SELECT rowid FROM chat_search WHERE rowid IN ({marks})", chunk)  # noqa: S608
                found.update(pk for (pk,) in cursor)
        return found

    def newest(self, wanted: Wanted) -> list[int]:
        match = " AND ".join(f'"{number:x}"' for number in wanted.all_grams)
        # Titles have negative ids: the smallest is the newest.
        older, order = ("rowid > %s", "ASC") if wanted.titles else ("rowid < %s", "DESC")
        parameters: list[str | int] = [match]
        if wanted.before is not None:
            parameters.append(-wanted.before if wanted.titles else wanted.before)
        where = f"chat_search MATCH %s{f' AND {older}' if wanted.before is not None else ''}"
        sql = f"SELECT rowid FROM chat_search WHERE {where} ORDER BY rowid {order} LIMIT %s"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(sql, [*parameters, wanted.count])
            return [pk for (pk,) in cursor]

    def clear(self) -> None:
        self._command("delete-all")

    def optimize(self) -> None:
        self._command("optimize")

    def _command(self, name: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO chat_search (chat_search) VALUES (%s)", [name])
