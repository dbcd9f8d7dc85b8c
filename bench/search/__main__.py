"""``python -m bench.search``: 100,000 messages of one person, on SQLite and on PostgreSQL, against ``icontains``.

Both databases are made for it: SQLite in a temporary folder, PostgreSQL by starting one. Each query is asked several
times through ``chat.search.find``, which is all that the page does but the HTML.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUERIES = [
    *("the", "in", "error", "database", "atabas", "gram", "server error", "query message index", '"of the"', "zqxj"),
    *("이", "검색", "기록은", "전문검색", "문검", "데이터 오류", "database 검색", '"기록 저장"', "뷁", "뷁뷁뷁"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000, help="of the person who searches")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.messages, options.rounds)))
        return
    figures = {name: _in_a_process(name, options) for name in options.databases}
    for name, found in figures.items():
        report(name, found)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False))


def _in_a_process(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure on this database in a process of its own, which has its own settings."""
    from tests.servers import postgresql

    command = [sys.executable, "-m", "bench.search", "--here"]
    command += ["--messages", str(options.messages), "--rounds", str(options.rounds)]
    with tempfile.TemporaryDirectory(prefix="bench-search-") as folder:
        environment = os.environ | {"VAR_DIR": folder, "DJANGO_SETTINGS_MODULE": "bench.settings"}
        environment.pop("DATABASE_URL", None)
        if name == "sqlite":
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        else:
            with postgresql() as (_, url):
                done = subprocess.run(
                    command, env=environment | {"DATABASE_URL": url}, stdout=subprocess.PIPE, check=True
                )
    return json.loads(done.stdout)


def measure(count: int, rounds: int) -> dict[str, Any]:
    """Fill the database, search it, and return what was found out."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from bench.search.filling import Site

    call_command("migrate", verbosity=0)
    site = Site(count)
    before = site.size()
    began = time.perf_counter()
    call_command("rebuild_search", verbosity=0, stdout=sys.stderr)
    entering = time.perf_counter() - began
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    return {
        "messages": count,
        "bytes of a message": round(site.text_bytes / site.messages),
        "MB of messages": round(site.text_bytes / 1e6, 1),
        "MB of index": round((site.size() - before) / 1e6, 1),
        "ms to enter one of many": round(1000 * entering / site.messages, 2),
        "ms to enter one alone": [round(1000 * value, 2) for value in _percentiles(site.enter_alone(1000))],
        "queries": {text: _timed(site.searches(text), rounds) for text in QUERIES},
        "after": _newly_entered(site, rounds),
        "icontains": {text: _timed(site.plain_search(text), 3) for text in ("database", "검색", "zqxj")},
    }


def _newly_entered(site: Any, rounds: int) -> dict[str, Any]:
    """Ask again after many messages came one by one, which is how they come."""
    site.enter_alone(2000)
    return {text: _timed(site.searches(text), rounds) for text in ("the", "database", "검색")}


def _timed(act: Callable[[], int], rounds: int) -> dict[str, Any]:
    """Return the milliseconds, least, median and 95th percentile, and how many were found."""
    found, seconds = 0, []
    for _ in range(rounds):
        began = time.perf_counter()
        found = act()
        seconds.append(time.perf_counter() - began)
    median, p95 = _percentiles(seconds)
    return {"ms": [round(1000 * value, 2) for value in (min(seconds), median, p95)], "found": found}


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    ordered = sorted(seconds)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def report(name: str, found: dict[str, Any]) -> None:
    """Print a table."""
    print(f"\n{name}")
    for title, value in found.items():
        if not isinstance(value, dict):
            print(f"  {title:<28} {' / '.join(map(str, value)) if isinstance(value, list) else value}")
    for title in ("queries", "after", "icontains"):
        print(f"  {title}: ms least / median / p95, hits on the first page")
        for text, row in found[title].items():
            print(f"    {text:<24} {' '.join(f'{value:8.2f}' for value in row['ms'])} {row['found']:5}")
    rows = [row["ms"] for row in found["queries"].values()]
    plain = [row["ms"] for row in found["icontains"].values()]
    least, median, p95 = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"  all queries: {least:.2f} / {median:.2f} / {p95:.2f}, worst {max(row[2] for row in rows):.2f}")
    print(f"  icontains takes {statistics.median(row[0] for row in plain) / least:.0f} times as long (least to least)")


if __name__ == "__main__":
    main()
