"""The figures as text for people and as JSON for whatever comes after."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from bench.engine.plan import WAYS, Sizes
from bench.engine.results import Results, Target

Row = Sequence[str]

QUIET = 0.1
"""The part of the CPU that others may use before figures are worth little."""


def format_table(head: Row, rows: Sequence[Row]) -> str:
    """Return columns that stand under each other: the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def format_head(machine: dict[str, Any], model: str, sizes: Sizes, rounds: int) -> str:
    names = ("python", "torch", "transformers", "tokenizers", "django")
    versions = ", ".join(f"{name} {machine[name]}" for name in names)
    flags = " ".join(machine["flags"]) or "no flags known"
    shortest, longest = sizes.prompt
    return (
        f"{machine['date']} · {machine['device_name']} · {machine['cpu']}, {machine['cores']} cores ({flags})\n"
        f"{versions}\n"
        f"{model}; prompts of {shortest}-{longest} tokens, {sizes.tokens} new ones, greedy, all requests at once; "
        f"medians (min-max) of {rounds} {'round' if rounds == 1 else 'rounds'}"
    )


def format_others(shares: Sequence[float]) -> str:
    """Return how busy the machine was between the jobs, when nothing of ours ran."""
    middle, most = statistics.median(shares), max(shares)
    verdict = ". THAT IS A LOT: run this alone, on a quiet machine" if middle > QUIET else ""
    return f"Something else used {middle:.0%} of the CPU between jobs, {most:.0%} at most{verdict}"


def format_throughput(results: Results) -> str:
    head = (
        "way",
        "streams",
        "tokens/s",
        "x seed",
        "first text s",
        "of the last",
        "lag p99 ms",
        "max",
        "step ms",
        "of floor",
        "web µs/token",
    )
    return format_table(head, [_throughput_row(results, way, case) for way, case in results.cases("throughput")])


def _throughput_row(results: Results, way: str, case: str) -> Row:
    figures = results.figures["throughput", way, case]
    share = results.median("floor", way, case, "share")
    times_seed = results.ratio("throughput", case, "tokens_per_s", way, "seed")
    return (
        way,
        case,
        _spread(figures["tokens_per_s"]),
        "-" if times_seed is None else f"{times_seed:.2f}",
        _number(figures.get("first_s"), ".2f"),
        _number(figures.get("last_first_s"), ".2f"),
        _number(figures.get("lag_p99_ms"), ".1f"),
        _number(figures.get("lag_max_ms"), ".0f"),
        _number(figures.get("step_ms"), ".2f"),
        "-" if share is None else f"{share:.0%}",
        _number(figures.get("web_us_per_token"), ".0f"),
    )


SCENARIO_COLUMNS = {
    "gap": {
        "usual_ms": "usual gap ms",
        "longest_before_ms": "longest before",
        "longest_ms": "longest while joining",
        "ratio": "x usual",
        "joiner_first_s": "joiner's first text s",
    },
    "busy": {"idle_tokens_per_s": "tokens/s idle", "busy_tokens_per_s": "tokens/s busy", "loss": "loss"},
    "reuse": {"turn_2_first_s": "turn 2, first text s", "first_s": "last turn"},
    "cancel": {"freed_ms": "slot free after ms", "step_ms": "step ms", "steps": "steps"},
}
SCENARIO_TITLES = {
    "gap": "A long prompt joins running streams",
    "busy": "The event loop is 40 % busy with Python",
    "reuse": "The last turn of a conversation",
    "cancel": "A reader leaves, another waits for the slot",
}
CASES = {"gap": "streams", "busy": "streams", "reuse": "turns", "cancel": "slots"}


def format_scenario(results: Results, scenario: str) -> str:
    columns = SCENARIO_COLUMNS[scenario]
    rows = [
        (way, case, *(_spread(results.figures[scenario, way, case].get(name, []), precise=True) for name in columns))
        for way, case in results.cases(scenario)
    ]
    return f"{SCENARIO_TITLES[scenario]}\n" + format_table(("way", CASES[scenario], *columns.values()), rows)


def format_targets(targets: Sequence[Target]) -> str:
    rows = [
        (
            target.name,
            f"{target.value:.3g}",
            "" if target.limit is None else f"{'>=' if target.at_least else '<='} {target.limit:g}",
            {True: "holds", False: "MISSED", None: ""}[target.holds],
        )
        for target in targets
    ]
    return format_table(("ratios of medians, same run", "now", "target", ""), rows)


def format_report(results: Results, targets: Sequence[Target], head: str) -> str:
    parts = [head]
    if results.others:
        parts[0] += "\n" + format_others(results.others)
    if results.cases("throughput"):
        parts.append(format_throughput(results))
    parts += [format_scenario(results, scenario) for scenario in SCENARIO_COLUMNS if results.cases(scenario)]
    if bandwidth := results.median("bandwidth", "", "", "bytes_per_s"):
        parts.append(f"Memory bandwidth: {bandwidth / 1e9:.1f} GB/s")
    if targets:
        parts.append(format_targets(targets))
    if short := _short_answers(results):
        parts.append(f"Answers that ended before they had all their tokens: {short}")
    parts += [f"{way} has no {scenario}: {why}" for (scenario, way), why in results.failures.items()]
    used = dict.fromkeys(way for _, way, _ in results.figures if way)
    parts.append("\n".join(f"{way}: {WAYS[way].label}" for way in used))
    return "\n\n".join(parts)


def _short_answers(results: Results) -> str:
    counts = {
        f"{way} at {case}: {sum(figures['short_answers']):.0f}"
        for (scenario, way, case), figures in results.figures.items()
        if scenario == "throughput" and sum(figures["short_answers"])
    }
    return ", ".join(sorted(counts))


def _spread(values: Sequence[float], *, precise: bool = False) -> str:
    if not values:
        return "-"
    form = ".3g" if precise and max(values) < 100 else ".1f"
    middle = format(statistics.median(values), form)
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}}-{max(values):{form}})"


def _number(values: Sequence[float] | None, form: str) -> str:
    return format(statistics.median(values), form) if values else "-"
