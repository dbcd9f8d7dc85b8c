"""The parts of ``bench.page`` that make, count and tell; what it measures is nobody's promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.page.content import dialogue
from bench.page.report import BEGIN, END, format_report, write_into
from bench.page.trace import summarize
from bench.screenshots import FOLDER, SHOTS

ROOT = FOLDER.parent.parent
MACHINE = {"date": "today", "cpu": "x", "cores": 2, "python": "3", "django": "5", "chromium": "1", "others": 0}


def test_it_works():
    opened = [{"first_paint_ms": 90.0, "usable_ms": usable, "kb": 1234.5} for usable in (100.0, 300.0, 200.0)]
    report = format_report({("open", "ours", 4): opened}, MACHINE, ["2 MB"])
    head, *table = report.splitlines()
    assert head.startswith("today · cpu x, cores 2, python 3, django 5, chromium 1 · 0% of the machine was busy with")
    assert head.endswith(" · 2 MB")
    assert table == [
        "",
        "**Opening the conversation**",
        "",
        "| way | CPU | first paint ms | usable ms | kB |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| ours | 1/4 | 90 | 200 | 1,234 |",
    ]


def test_a_dialogue_has_the_wanted_size_and_is_always_the_same():
    messages = list(dialogue(400, 400_000))
    assert len(messages) == 400
    assert sum(len(message.encode()) for message in messages) == pytest.approx(400_000, rel=0.02)
    assert messages == list(dialogue(400, 400_000))
    whole = "\n".join(messages)
    assert all(part in whole for part in ("```python", "| --- |", "## ", "\n- ", "서버"))


def test_only_the_main_thread_of_the_page_counts():
    page, other = {"pid": 1, "tid": 1}, {"pid": 2, "tid": 1}
    events = [
        {**page, "name": "thread_name", "args": {"name": "CrRendererMain"}},
        {**other, "name": "thread_name", "args": {"name": "CrBrowserMain"}},
        {**page, "name": "RunTask", "tdur": 60_000, "dur": 90_000},
        {**page, "name": "RunTask", "tdur": 10_000, "dur": 90_000},
        {**other, "name": "RunTask", "tdur": 500_000},
        {**page, "name": "FunctionCall", "tdur": 8_000, "args": {"data": {"url": "http://x/static/chat/app.js"}}},
        {**page, "name": "v8.evaluateModule", "tdur": 7_000, "args": {}},
        {**page, "name": "FunctionCall", "tdur": 9_000, "args": {"data": {"url": ""}}},
    ]
    assert summarize(events) == {"cpu_ms": 70, "long_tasks": 1, "longest_task_ms": 60, "our_longest_ms": 8}


def test_the_tables_go_between_their_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_into(page, "new \\1\n")
    assert page.read_text() == f"before\n{BEGIN}\nnew \\1\n{END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="has no"):
        write_into(page, "new")


def test_the_docs_show_pictures_that_are_there_and_can_be_taken_anew():
    taken = {f"{shot.name}.png" for shot in SHOTS}
    assert len(taken) == len(SHOTS)
    assert {path.name for path in FOLDER.glob("*.png")} == taken
    for page in [ROOT / "README.md", *Path(ROOT / "docs").rglob("*.md")]:
        for shown in re.findall(r"!\[[^\]]*\]\(([^)]+\.png)\)", page.read_text()):
            assert (page.parent / shown).is_file(), f"{page.name} shows {shown}"
