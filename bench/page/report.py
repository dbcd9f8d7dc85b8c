"""The figures as Markdown, and into the page of the docs that quotes them."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.page.trace import Figures

BEGIN, END = "<!-- bench.page -->", "<!-- /bench.page -->"
TITLES = {
    "empty": "The empty page",
    "open": "Opening the conversation",
    "typing": "Typing while an answer is written",
    "scrolling": "Scrolling up while an answer is written",
}
OPEN_COLUMNS = {
    "first_paint_ms": ("first paint ms", ".0f"),
    "usable_ms": ("usable ms", ".0f"),
    "requests": ("requests", ".0f"),
    "kb": ("kB", ",.0f"),
    "script_kb": ("of it scripts", ".1f"),
    "nodes": ("elements", ",.0f"),
    "cpu_ms": ("CPU ms", ",.0f"),
    "long_tasks": ("long tasks", ".0f"),
    "longest_task_ms": ("longest ms", ",.0f"),
    "our_longest_ms": ("script ms", ",.0f"),
    "shift": ("layout shift", ".3f"),
}
WRITING_COLUMNS = {
    "frame_ms": ("frame ms", ".1f"),
    "frame_p95_ms": ("p95", ".1f"),
    "frame_worst_ms": ("worst", ".0f"),
    "late_share": ("late frames", ".1%"),
    "latency_ms": ("key to paint ms", ".0f"),
    "latency_p95_ms": ("p95", ".0f"),
    "cpu_ms": ("CPU ms", ",.0f"),
    "long_tasks": ("long tasks", ".0f"),
    "longest_task_ms": ("longest ms", ",.0f"),
    "our_longest_ms": ("script ms", ",.0f"),
    "turns": ("turns on the page", ",.0f"),
}
COLUMNS = {"empty": OPEN_COLUMNS, "open": OPEN_COLUMNS, "typing": WRITING_COLUMNS, "scrolling": WRITING_COLUMNS}

Results = dict[tuple[str, str, int], list[Figures]]
"""By scenario, way and slowdown: the figures of each round."""


def format_report(results: Results, machine: dict[str, Any], words: Sequence[str]) -> str:
    parts = [_format_head(machine, words)]
    for scenario, title in TITLES.items():
        cases = {key[1:]: rounds for key, rounds in results.items() if key[0] == scenario}
        if cases:
            parts.append(f"**{title}**\n\n{_format_table(COLUMNS[scenario], cases)}")
    return "\n\n".join(parts) + "\n"


def _format_head(machine: dict[str, Any], words: Sequence[str]) -> str:
    names = ("cpu", "cores", "python", "django", "chromium")
    told = ", ".join(f"{name} {machine[name]}" for name in names)
    busy = f"{machine['others']:.0%} of the machine was busy with something else"
    return f"{machine['date']} · {told} · {busy} · {' · '.join(words)}"


def _format_table(columns: dict[str, tuple[str, str]], cases: dict[tuple[str, int], list[Figures]]) -> str:
    used = {name: column for name, column in columns.items() if any(name in rounds[0] for rounds in cases.values())}
    rows = [["way", "CPU", *(title for title, _ in used.values())], ["---", *["---:"] * (len(used) + 1)]]
    for (way, slowdown), rounds in cases.items():
        cells = [
            format(statistics.median(figures[name] for figures in rounds), form) for name, (_, form) in used.items()
        ]
        rows.append([way, f"1/{slowdown}" if slowdown > 1 else "1", *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write_into(file: Path, report: str) -> None:
    """Put the report between its marks in a page of the docs.

    Raises:
        ValueError: the page has no marks.
    """
    text = file.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{file} has no {BEGIN} … {END}")
    file.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{report}{END}", text, flags=re.DOTALL))
