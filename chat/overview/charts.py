"""The shapes of what is drawn: places and sizes, from which templates make SVG that needs no script and no style.

Across, places are parts of a hundred, so that a drawing is as wide as there is room for; down, they are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SERIES = 4
"""Series that have a colour of their own; the others are drawn together as one more."""
HEIGHT = 200
"""Of the plot, from its highest line to its lowest."""
TOP = 12
"""Above the highest line."""
LABELS = 7
"""At most so many names below the bars, and half of them where there is little room."""
SPARK_HEIGHT = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a bar, of one series."""

    series: int
    """From 1 on; its colour."""
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    x: float
    width: float
    middle: float
    segments: tuple[Segment, ...]
    title: str
    """What it says, for who points at it."""
    label: str
    """Its name below; empty where there is no room for it."""
    is_minor: bool
    """Whether its name goes first where there is little room."""

    @property
    def is_end(self) -> bool:
        """Whether a name in its middle would go past the end."""
        return self.middle > 97


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Bars of several series on top of each other."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, str], ...]
    """Lines across, each with what it stands for."""
    legend: tuple[tuple[int, str], ...]
    height: int = HEIGHT + TOP
    is_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is written on a chart."""

    bars: Sequence[str]
    short: Sequence[str]
    others: str
    """What the series without a colour of their own are called together."""
    number: Callable[[float], str]


def stack(series: Sequence[tuple[str, Sequence[float]]], names: Names) -> Stack:
    """Return bars, one for each name, of these series; the greatest come first."""
    shown = together(series, names.others)
    totals = [sum(values[place] for _name, values in shown) for place in range(len(names.bars))]
    greatest = nice(max(totals, default=0))
    step = 100 / max(len(names.bars), 1)
    every = max(1, math.ceil(len(names.bars) / LABELS))
    bars = []
    for place, name in enumerate(names.bars):
        # Counted from the newest one, which always has its name.
        back = len(names.bars) - 1 - place
        bars.append(
            Bar(
                x=round(step * (place + 0.07), 3),
                width=round(step * 0.86, 3),
                middle=round(step * (place + 0.5), 3),
                segments=_segments([values[place] for _name, values in shown], greatest),
                title=_title(name, [(each, names.number(values[place])) for each, values in shown if values[place]]),
                label=names.short[place] if back % every == 0 else "",
                is_minor=back // every % 2 == 1,
            )
        )
    return Stack(
        bars=tuple(bars),
        lines=tuple((TOP + HEIGHT * (1 - part), names.number(greatest * part)) for part in (1, 0.5, 0)),
        legend=tuple((number, name) for number, (name, _values) in enumerate(shown, 1)),
        is_empty=not any(totals),
    )


def together(series: Sequence[tuple[str, Sequence[float]]], others: str) -> list[tuple[str, list[float]]]:
    """Return the first series, and the others added up to one."""
    first = [(name, list(values)) for name, values in series[:SERIES]]
    rest = [values for _name, values in series[SERIES:]]
    if rest:
        first.append((others, [sum(values) for values in zip(*rest, strict=True)]))
    return first


def nice(number: float) -> float:
    """Return the next greater number with few digits, half of which has few, too; 1 for nothing."""
    if number <= 0:
        return 1
    size = 10.0 ** math.floor(math.log10(number))
    return next(size * part for part in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10) if size * part >= number * 0.9999)


@dataclass(frozen=True, slots=True)
class Spark:
    """A small line without numbers, and the area below it; of a width of 100."""

    line: str
    area: str


def spark(values: Sequence[float | None]) -> Spark | None:
    """Return the line of these values, straight across what is not known; None where there is nothing to see."""
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 2 or not any(value for _place, value in known):
        return None
    low, high = min(value for _place, value in known), max(value for _place, value in known)
    low = min(low, high / 2)  # what changes little does not look as if it changed much
    span = (high - low) or 1
    width = 100 / (len(values) - 1)
    points = [
        (round(place * width, 2), round(SPARK_HEIGHT - 3 - (value - low) / span * (SPARK_HEIGHT - 6), 2))
        for place, value in known
    ]
    line = " ".join(f"{x},{y}" for x, y in points)
    return Spark(line, f"{points[0][0]},{SPARK_HEIGHT} {line} {points[-1][0]},{SPARK_HEIGHT}")


def _segments(values: Sequence[float], greatest: float) -> tuple[Segment, ...]:
    segments, bottom = [], float(TOP + HEIGHT)
    for series, value in enumerate(values, 1):
        height = HEIGHT * value / greatest
        if height:
            bottom -= height
            # The highest line may be a little lower than the highest bar.
            top = round(max(bottom, TOP), 2)
            segments.append(Segment(series=series, y=top, height=round(max(height - 0.75, 0.5), 2)))
    return tuple(segments)


def _title(name: str, values: Sequence[tuple[str, str]]) -> str:
    return "\n".join([name, *(f"{each}: {value}" for each, value in values)])
