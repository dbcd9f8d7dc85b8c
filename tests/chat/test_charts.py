"""What is drawn stays within its place, and adds up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.overview.charts import HEIGHT, SPARK_HEIGHT, TOP, Names, nice, spark, stack
from chat.overview.numbers import compact, milliseconds, money, percent
from chat.overview.sheets import csv_pieces, safe


def named(number: int) -> Names:
    names = [f"Day {place}" for place in range(number)]
    return Names(bars=names, short=[str(place) for place in range(number)], others="Others", number=compact)


def test_it_works():
    chart = stack([("A", [100, 0, 50]), ("B", [100, 0, 0])], named(3))
    first, empty, last = chart.bars
    assert [(part.series, round(part.height)) for part in first.segments] == [(1, 99), (2, 99)]
    assert (empty.segments, empty.title) == ((), "Day 1")
    assert first.title == "Day 0\nA: 100\nB: 100"
    assert last.segments[0].y + HEIGHT / 4 == TOP + HEIGHT
    assert chart.lines == ((TOP, "200"), (TOP + HEIGHT / 2, "100"), (TOP + HEIGHT, "0"))


def test_what_has_no_colour_is_drawn_together():
    chart = stack([(f"A{number}", [10 - number]) for number in range(7)], named(1))
    assert [name for _series, name in chart.legend] == ["A0", "A1", "A2", "A3", "Others"]
    assert "Others: 15" in chart.bars[0].title


def test_nothing_is_an_empty_chart():
    assert stack([], named(14)).is_empty
    assert stack([("A", [0, 0])], named(2)).is_empty


@given(st.lists(st.lists(st.integers(0, 10**9), min_size=5, max_size=5), max_size=8))
def test_bars_stay_within_the_plot(series):
    chart = stack([(f"A{number}", values) for number, values in enumerate(series)], named(5))
    for place, bar in enumerate(chart.bars):
        assert 0 <= bar.x <= bar.x + bar.width <= 100
        for part in bar.segments:
            assert TOP <= part.y <= part.y + part.height <= TOP + HEIGHT + 0.51
        assert bool(bar.segments) == any(values[place] for values in series)


@pytest.mark.parametrize("number", [1, 7, 14, 24, 90, 366])
def test_few_bars_are_named_and_the_newest_is(number):
    bars = stack([("A", [1] * number)], named(number)).bars
    assert bars[-1].label
    assert not bars[-1].is_minor
    assert sum(bool(bar.label) for bar in bars) <= 7


@given(st.floats(0.001, 1e15))
def test_the_highest_line_is_near(number):
    assert number * 0.999 <= nice(number) <= number * 2


def test_a_line():
    assert spark([1, None, 3]).line.split()[0].startswith("0.0,")
    assert spark([1, None, 3]).line.split()[1].startswith("100.0,")
    assert spark([None, 4]) is None
    assert spark([]) is None
    assert spark([0, 0, 0]) is None
    points = [point.split(",") for point in spark([0, 5, 2, 9]).line.split()]
    assert all(0 <= float(x) <= 100 and 0 <= float(y) <= SPARK_HEIGHT for x, y in points)
    assert len({point.split(",")[1] for point in spark([7, 7, 7]).line.split()}) == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (950, "950"),
        (9_999, "9,999"),
        (12_345, "12.3k"),
        (222_000, "222k"),
        (30_000, "30k"),
        (1_204_000, "1.20M"),
    ],
)
def test_counts_in_short(number, text):
    assert compact(number) == text


def test_other_figures(settings):
    settings.CHAT_CURRENCY = "EUR"
    assert [money(amount) for amount in (0, 0.0123, 1234.5)] == ["0.00 EUR", "0.0123 EUR", "1,234.50 EUR"]
    assert [milliseconds(time) for time in (None, 412.4, 12_345)] == ["–", "412 ms", "12.3 s"]
    assert percent(0.384) == "38 %"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"])
def test_no_cell_is_a_formula(cell):
    assert safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["alice", "gpt-4o", "a=b", 5, -5, 1.5])
def test_other_cells_stay(cell):
    assert safe(cell) == cell


def test_a_file_comes_in_pieces():
    pieces = list(csv_pieces(["a", "b"], ((number, None) for number in range(1200))))
    assert len(pieces) == 4
    assert b"".join(pieces).decode("utf-8-sig").splitlines()[:2] == ["a,b", "0,"]
