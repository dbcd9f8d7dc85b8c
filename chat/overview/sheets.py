"""Files for spreadsheets, a piece at a time; nothing in them is taken for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

ROWS = 500
"""Of one piece."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_pieces(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Yield a CSV file, with the mark by which spreadsheets know UTF-8."""
    yield "\ufeff".encode()
    lines: list[Sequence[Any]] = [header]
    for row in rows:
        lines.append(row)
        if len(lines) == ROWS:
            yield _piece(lines)
            lines = []
    yield _piece(lines)


def safe(cell: Any) -> Any:
    """Return the cell as text that no spreadsheet calculates; numbers stay as they are."""
    if isinstance(cell, str) and cell.lstrip(" ").startswith(_FORMULA):
        return f"'{cell}"
    return "" if cell is None else cell


def _piece(lines: Iterable[Sequence[Any]]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows([safe(cell) for cell in line] for line in lines)
    return file.getvalue().encode()
