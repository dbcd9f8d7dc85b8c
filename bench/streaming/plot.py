"""CPU and lag against users as a PNG."""

from __future__ import annotations

from pathlib import Path

from bench.engine.results import Results

COLOURS = {
    "bare": "#4c9be0",
    "flask": "#d9a441",
    "ours": "#0b6b4f",
    "bare-openai": "#7a5fc9",
    "ours-openai": "#c2478d",
    "ours-workers": "#6b6b6b",
}
PANELS = {
    "cpu_per_1000": "CPU seconds per 1,000 tokens",
    "tokens_per_s": "Tokens a second that arrive",
    "lag_p99_ms": "Lag of a token, p99, ms",
}


def draw(results: Results, path: Path, title: str) -> None:
    """Write one panel per figure, one line per way; the numbers of users stand equally far apart."""
    from matplotlib.figure import Figure  # takes half a second, and only who wants a plot needs it

    users = sorted({int(case) for _, case in results.cases("throughput")})
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    figure.suptitle(title)
    for axes, (name, label) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        for way, points in read_lines(results, name).items():
            places = [users.index(count) for count in points]
            axes.plot(places, list(points.values()), marker="o", label=way, color=COLOURS[way])
        axes.set_title(label, fontsize=11)
        axes.set_xticks(range(len(users)), [str(count) for count in users])
        axes.set_xlabel("users")
        axes.set_yscale("log")
        axes.grid(visible=True, alpha=0.3)
    if users:
        axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def read_lines(results: Results, name: str) -> dict[str, dict[int, float]]:
    """Return the medians by way and number of users."""
    lines: dict[str, dict[int, float]] = {}
    for way, case in results.cases("throughput"):
        value = results.median("throughput", way, case, name)
        if value is not None:
            lines.setdefault(way, {})[int(case)] = value
    return lines
