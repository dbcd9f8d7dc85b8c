"""The figures as text for people."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from bench.engine.report import format_others, format_table, format_targets
from bench.engine.results import Results, Target
from bench.streaming.plan import WAYS, Sizes
from bench.streaming.results import limited_by

TITLES = {
    "throughput": "N users, {rate:g} tokens/s each",
    "answers": "Answers of one token: what one costs besides its tokens",
    "most": "Without a pace: as fast as it goes",
    "steady": "{steady_rate:g} tokens/s each, in answers that last",
    "breaks": "Streams that break every 0.7 s and resume",
    "open": "Streams on which nothing happens",
    "soak": "The same for long: memory",
}
FLOW_COLUMNS = {
    "tokens_per_s": ("tokens/s", ".0f"),
    "offered_per_s": ("offered", ".0f"),
    "tokens_per_event": ("per event", ".1f"),
    "lag_p50_ms": ("lag p50 ms", ".1f"),
    "lag_p99_ms": ("p99", ".1f"),
    "first_p50_ms": ("first p50 ms", ".0f"),
    "first_p99_ms": ("p99", ".0f"),
    "cpu_per_1000": ("CPU s/1000", ".4f"),
    "rss_mb": ("RSS MB", ".0f"),
    "threads": ("threads", ".0f"),
    "files": ("files", ".0f"),
    "answers": ("answers", ".0f"),
    "lost": ("lost", ".0f"),
    "doubled": ("doubled", ".0f"),
    "failures": ("failed", ".0f"),
    "server_share": ("server", ".0%"),
    "others_share": ("others", ".0%"),
    "generator_share": ("generator", ".0%"),
    "upstream_share": ("upstream", ".0%"),
}
COLUMNS = {
    "answers": {
        "cpu_per_answer_ms": ("CPU ms each", ".1f"),
        "first_p50_ms": ("first p50 ms", ".0f"),
        "first_p99_ms": ("p99", ".0f"),
        "answers": ("answers", ".0f"),
        "failures": ("failed", ".0f"),
        "server_share": ("server", ".0%"),
        "others_share": ("others", ".0%"),
    },
    "breaks": {
        "tokens_per_s": ("tokens/s", ".0f"),
        "lag_p99_ms": ("lag p99 ms", ".1f"),
        "breaks": ("breaks", ".0f"),
        "repeated": ("repeated", ".0f"),
        "snapshots": ("snapshots", ".0f"),
        "answers": ("answers", ".0f"),
        "lost": ("lost", ".0f"),
        "doubled": ("doubled", ".0f"),
        "failures": ("failed", ".0f"),
    },
    "open": {
        "kb_each": ("kB each", ".1f"),
        "threads": ("threads", ".0f"),
        "threads_more": ("more", ".0f"),
        "files": ("files", ".0f"),
        "files_more": ("more", ".0f"),
        "files_left": ("left after", ".0f"),
        "databases": ("databases", ".0f"),
        "databases_more": ("more", ".0f"),
        "rss_mb": ("RSS MB", ".0f"),
        "server_share": ("CPU", ".1%"),
    },
    "soak": {
        "tokens_per_s": ("tokens/s", ".0f"),
        "rss_mb": ("RSS MB", ".1f"),
        "growth_kb_per_min": ("kB more a minute", ".1f"),
        "growth_share_per_10_min": ("in 10 minutes", ".1%"),
        "threads": ("threads", ".0f"),
        "files": ("files", ".0f"),
        "answers": ("answers", ".0f"),
        "lost": ("lost", ".0f"),
        "doubled": ("doubled", ".0f"),
        "failures": ("failed", ".0f"),
    },
}


def format_head(machine: dict[str, Any], sizes: Sizes, rounds: int) -> str:
    names = ("python", "django", "uvicorn", "flask", "openai")
    versions = ", ".join(f"{name} {machine[name]}" for name in names)
    return (
        f"{machine['date']} · {machine['cpu']}, {machine['cores']} cores; the server has the first of them\n"
        f"{versions}\n"
        f"answers of {sizes.tokens} tokens, measured for {sizes.seconds:g} s; "
        f"medians of {rounds} {'round' if rounds == 1 else 'rounds'}"
    )


def format_scenario(results: Results, scenario: str, sizes: Sizes) -> str:
    columns = COLUMNS.get(scenario, FLOW_COLUMNS)
    is_flow = columns is FLOW_COLUMNS
    head = ("way", "N", *(title for title, _ in columns.values()), *(["limited by"] if is_flow else []))
    rows = []
    for way, case in results.cases(scenario):
        figures = {name: statistics.median(values) for name, values in results.figures[scenario, way, case].items()}
        cells = [format(figures[name], form) if name in figures else "-" for name, (_, form) in columns.items()]
        cores = sizes.workers if WAYS[way].is_shared else 1
        rows.append((way, case, *cells, *([limited_by(figures, cores)] if is_flow else [])))
    title = TITLES[scenario].format(rate=sizes.rate, steady_rate=sizes.steady_rate)
    return f"{title}\n{format_table(head, rows)}"


def format_report(results: Results, targets: Sequence[Target], head: str, sizes: Sizes) -> str:
    parts = [head]
    if results.others:
        parts[0] += "\n" + format_others(results.others)
    parts += [format_scenario(results, scenario, sizes) for scenario in TITLES if results.cases(scenario)]
    if targets:
        parts.append(format_targets(targets))
    parts += [f"{way} has no {scenario}: {why}" for (scenario, way), why in results.failures.items()]
    used = dict.fromkeys(way for _, way, _ in results.figures)
    parts.append("\n".join(f"{way}: {WAYS[way].label}" for way in used))
    return "\n\n".join(parts)
