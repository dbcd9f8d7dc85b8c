"""Tokens a second against streams as an SVG that reads well on light and on dark ground."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#0b6b4f", "#4c9be0", "#d9a441", "#9a6fc9")
WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 130, 44, 52
LINE_HEIGHT = 16
# currentColor is black inside <img>, whatever the page's colour: the file has to choose for itself there.
STYLE = (
    "svg{color:#222;font:13px system-ui,sans-serif}"
    "@media(prefers-color-scheme:dark){svg{color:#ddd}}"
    "text{fill:currentColor}"
)

Points = Mapping[int, float]


def draw(lines: Mapping[str, Points], title: str) -> str:
    """Return the SVG of one line per name, with its name at its end; the numbers of streams stand equally far apart."""
    streams = sorted({count for points in lines.values() for count in points})
    top = max((value for points in lines.values() for value in points.values()), default=1.0)
    ticks = nice_ticks(top)
    parts = [_axes(streams, ticks)]
    ends: dict[str, float] = {}
    for number, (name, points) in enumerate(lines.items()):
        places = [(_x(count, streams), _y(points[count], ticks[-1])) for count in streams if count in points]
        parts.append(_line(places, number))
        ends[name] = places[-1][1]
    parts.append(_names(ends))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f'<text x="{LEFT}" y="22" font-weight="600">{escape(title)}</text>{"".join(parts)}</svg>\n'
    )


def nice_ticks(top: float, count: int = 5) -> list[float]:
    """Return round numbers from 0 to ``top`` or a little more."""
    rough = max(top, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    return [step * number for number in range(math.ceil(top / step - 1e-9) + 1)]


def spread_out(places: Sequence[float], distance: float) -> list[float]:
    """Return the places, in their order, moved down as far as needed to be this far apart."""
    moved = list(places)
    order = sorted(range(len(places)), key=lambda index: places[index])
    for above, index in itertools.pairwise(order):
        moved[index] = max(moved[index], moved[above] + distance)
    # The last must not fall off the ground: push all up again from there.
    limit = float(HEIGHT - BOTTOM)
    for index in reversed(order):
        moved[index] = min(moved[index], limit)
        limit = moved[index] - distance
    return moved


def _x(count: int, streams: Sequence[int]) -> float:
    room = WIDTH - LEFT - RIGHT
    return LEFT + room * (streams.index(count) + 0.5) / len(streams)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _axes(streams: Sequence[int], ticks: Sequence[float]) -> str:
    right, ground = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for tick in ticks:
        y = _y(tick, ticks[-1])
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{right}" stroke="currentColor" stroke-opacity="{0.15 if tick else 0.8}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    parts += [
        f'<text x="{_x(count, streams):.1f}" y="{ground + 20}" text-anchor="middle">{count}</text>' for count in streams
    ]
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{middle}" y="{ground + 42}" text-anchor="middle">streams at once</text>')
    return "".join(parts)


def _line(places: Sequence[tuple[float, float]], number: int) -> str:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{_colour(number)}"/>' for x, y in places)
    return f'<path d="{path}" fill="none" {_stroke(number)}/>{dots}'


def _names(ends: Mapping[str, float]) -> str:
    right = WIDTH - RIGHT
    return "".join(
        f'<path d="M{right + 2} {y:.1f}h16" {_stroke(number)}/>'
        f'<text x="{right + 24}" y="{y + 4:.1f}">{escape(name)}</text>'
        for number, (name, y) in enumerate(zip(ends, spread_out(list(ends.values()), LINE_HEIGHT), strict=True))
    )


def _colour(number: int) -> str:
    return COLOURS[number] if number < len(COLOURS) else "currentColor"


def _stroke(number: int) -> str:
    """Return how a line is drawn: the colours first, then dashes, each longer than the last."""
    dash = f' stroke-dasharray="{3 * (number - len(COLOURS)) + 3} 4"' if number >= len(COLOURS) else ""
    return f'stroke="{_colour(number)}" stroke-width="2.5"{dash}'
