"""A rehearsal as a file, for people who compare elsewhere."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from chat.models import RehearsedAnswer
from chat.workshop.comparing import Row

_FIGURES = ("status", "backend", "model", "input_tokens", "output_tokens", "cost", "first_text_ms", "duration_ms")
COLUMNS = (
    "number",
    "question",
    *(f"{side}_{name}" for side in ("old", "new") for name in ("answer", *_FIGURES, "error_code")),
    "votes_old",
    "votes_same",
    "votes_new",
)


def as_json_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Yield a JSON object a line for each question."""
    for row in rows:
        yield json.dumps(_values(row), ensure_ascii=False, default=str) + "\n"


def as_csv(rows: Iterable[Row]) -> Iterator[str]:
    """Yield a table; what a spreadsheet would take for a formula is marked as text."""
    yield _csv_line(COLUMNS)
    for row in rows:
        values = _values(row)
        yield _csv_line(_harmless(values[name]) for name in COLUMNS)


def _values(row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {"number": row.question.number, "question": row.question.question}
    for side, answer in (("old", row.old), ("new", row.new)):
        values |= {f"{side}_{name}": value for name, value in _of(answer).items()}
    return values | {f"votes_{choice}": row.votes.get(choice, 0) for choice in ("old", "same", "new")}


def _of(answer: RehearsedAnswer | None) -> dict[str, Any]:
    if answer is None:
        return dict.fromkeys(("answer", *_FIGURES, "error_code"))
    figures = {name: getattr(answer, name) for name in (*_FIGURES, "error_code")}
    return {"answer": answer.content, **figures, "cost": str(answer.cost)}


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return "" if value is None else value


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()
