"""What the main thread of a page did, by the CPU time that it took: a busy machine makes tasks late, but not longer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

LONG_TASK = 50.0
"""Milliseconds from which on a task keeps a person waiting."""
CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline"]

Figures = dict[str, float]


@contextmanager
def traced(browser: Browser, page: Page, figures: Figures) -> Iterator[None]:
    """Add to the figures what the page's main thread does meanwhile."""
    browser.start_tracing(page=page, categories=CATEGORIES)
    try:
        yield
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
    figures |= summarize(events)


def summarize(events: list[dict[str, Any]]) -> Figures:
    """Return how many tasks were long, the longest, and the longest run of a script of the site's own."""
    mains = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name" and _name(e) == "CrRendererMain"}
    ours = [event for event in events if (event["pid"], event["tid"]) in mains and "tdur" in event]
    tasks = [event["tdur"] / 1000 for event in ours if event["name"] == "RunTask"]
    scripts = [event["tdur"] / 1000 for event in ours if _is_script_of_site(event)]
    return {
        "cpu_ms": sum(tasks),
        "long_tasks": sum(task > LONG_TASK for task in tasks),
        "longest_task_ms": max(tasks, default=0.0),
        "our_longest_ms": max(scripts, default=0.0),
    }


def _name(event: dict[str, Any]) -> str:
    return str(event["args"].get("name", ""))


def _is_script_of_site(event: dict[str, Any]) -> bool:
    # A trace does not name the file of a module that is run at first; all modules are the site's.
    if event["name"] == "v8.evaluateModule":
        return True
    return event["name"] == "FunctionCall" and "/static/" in str(event["args"].get("data", {}).get("url"))
