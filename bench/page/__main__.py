"""Measure the chat page in a browser: ``python -m bench.page``.

A site of its own with a conversation of 2,000 messages and 2 MB of markdown is opened, typed into and scrolled, as it
is and with everything at once. The ways take turns; told are medians.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.engine.machine import busy_share, describe_machine
from bench.page.browser import Visit, measure_opening, measure_scrolling, measure_typing, sign_in
from bench.page.report import Results, format_report, write_into
from bench.page.trace import Figures
from tests.browser.site import ROOT, Site, chromium

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
WAYS = {"ours": "50", "all at once": "1000000", "all at once, laid out": "1000000"}
"""What is measured, by CHAT_PAGE_MESSAGES; the last one without content-visibility."""
MEASURES: dict[str, Callable[[Browser, Visit], Figures]] = {
    "empty": measure_opening,
    "open": measure_opening,
    "typing": measure_typing,
    "scrolling": measure_scrolling,
}


def main() -> None:
    options = _parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no server outlives us
    results: Results = {}
    others: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-page-") as folder, sync_playwright() as playwright:
        site = Site(Path(folder))
        site.environment["DJANGO_SETTINGS_MODULE"] = "bench.page.settings"
        paths = _set_up(site, options.messages, options.bytes)
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        machine = describe_machine() | {"chromium": browser.version}
        for number in range(options.rounds):
            for way in options.ways:
                others.append(busy_share())
                _measure(browser, site, way, paths, options, results)
                print(f"round {number + 1} of {options.rounds}: {way} is done", file=sys.stderr)
        browser.close()
    machine["others"] = statistics.median(others)
    size = f"{options.messages:,} messages, {options.bytes / 1e6:g} MB of markdown"
    report = format_report(results, machine, [size, f"medians of {options.rounds}"])
    print(report)
    if options.json:
        rows = [[*key, rounds] for key, rounds in results.items()]
        options.json.write_text(json.dumps({"machine": machine, "results": rows}, indent=1) + "\n")
    if options.write:
        write_into(options.write, report)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    add = parser.add_argument
    add("--messages", type=int, default=2000)
    add("--bytes", type=int, default=2_000_000)
    add("--rounds", type=int, default=3)
    add("--slowdowns", type=int, nargs="+", default=[1, 4], help="by how much the CPU is throttled, 1 4")
    add("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY", help=", ".join(WAYS))
    add(
        "--scenarios", nargs="+", choices=MEASURES, default=list(MEASURES), metavar="SCENARIO", help=", ".join(MEASURES)
    )
    add("--json", type=Path, metavar="FILE")
    add("--write", type=Path, metavar="FILE.md", help="put the tables into this page, as docs/page.md has them")
    return parser.parse_args()


def _set_up(site: Site, messages: int, size: int) -> dict[str, str]:
    """Make the site and the conversation; return the path that each scenario opens."""
    site.set_up()
    site.manage("createsuperuser", "--noinput", "--username", "alice", "--email", "alice@example.org")
    command = [sys.executable, "-m", "bench.page.fill", "alice", str(messages), str(size)]
    done = subprocess.run(command, env=site.environment, cwd=ROOT, capture_output=True, text=True, check=True)
    path = done.stdout.strip()
    return {scenario: "/" if scenario == "empty" else path for scenario in MEASURES}


def _measure(
    browser: Browser, site: Site, way: str, paths: dict[str, str], options: argparse.Namespace, results: Results
) -> None:
    """Measure all scenarios of one way on a fresh server."""
    site.environment["CHAT_PAGE_MESSAGES"] = WAYS[way]
    site.start()
    try:
        cookies = sign_in(browser, site, "alice")
        for scenario in options.scenarios:
            if scenario == "empty" and way != "ours":  # it is the same for all
                continue
            for slowdown in options.slowdowns:
                visit = Visit(site.url + paths[scenario], cookies, slowdown, is_plain="laid out" in way)
                figures = MEASURES[scenario](browser, visit)
                results.setdefault((scenario, way, slowdown), []).append(figures)
                print(f"{scenario}, {way}, CPU 1/{slowdown}: {_brief(figures)}", file=sys.stderr)
    finally:
        site.stop()


def _brief(figures: Figures) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


if __name__ == "__main__":
    main()
