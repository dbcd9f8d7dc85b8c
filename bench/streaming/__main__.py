"""Compare the site's streams with simpler ways, all in one run: ``python -m bench.streaming``.

Each case has a server of its own on a core of its own, the ways take turns, and what counts are the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import sys
import tempfile
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from bench.engine.machine import busy_share, describe_machine
from bench.engine.results import Results, Target
from bench.streaming.plan import QUICK_SIZES, QUICK_WAYS, SCENARIOS, WAYS, WAYS_OF_SCENARIO, Job, Sizes, list_jobs
from bench.streaming.plot import draw
from bench.streaming.process import cores_for
from bench.streaming.readers import ReadingFailed
from bench.streaming.report import format_head, format_report
from bench.streaming.results import compare
from bench.streaming.scenarios import SCENARIOS as MEASURES
from bench.streaming.scenarios import ScenarioFailed
from bench.streaming.servers import ServerFailed, Stage


def main() -> None:
    options = _parse_options()
    if sys.platform != "linux":
        sys.exit("This reads /proc and gives processes their cores, which only Linux has.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no server outlives us
    _allow_many_files()
    machine = describe_machine() | {name: version(name) for name in ("uvicorn", "flask", "openai")}
    sizes = _choose_sizes(options)
    jobs = list_jobs(sizes, _choose_ways(options), options.rounds)
    results = Results()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-streaming-") as folder:
            _run_all(jobs, results, Stage(Path(folder), sizes.people))
    except KeyboardInterrupt:
        print("\nStopped; what was measured until then:", file=sys.stderr)
    targets = compare(results)
    if options.quick:
        targets = [replace(target, limit=None) for target in targets]
    print(format_report(results, targets, format_head(machine, sizes, options.rounds), sizes))
    if options.json:
        content = {"machine": machine, "rounds": options.rounds, "sizes": asdict(sizes)}
        options.json.write_text(json.dumps(content | _as_json(results, targets), indent=1, ensure_ascii=False) + "\n")
    if options.plot:
        draw(results, options.plot, f"{sizes.rate:g} tokens/s for each user, the server on one core")


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.streaming", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="only to see that all runs: few users, short answers, about a minute")
    add("--ways", nargs="+", choices=WAYS, metavar="WAY", help=", ".join(WAYS))
    add("--scenarios", nargs="+", choices=SCENARIOS, default=SCENARIOS, metavar="SCENARIO", help=", ".join(SCENARIOS))
    add("--users", type=int, nargs="+", help="1 50 200 500; other scenarios than throughput take the most of them")
    add("--rate", type=float, help="tokens a second for each user, 30; 0 is as fast as it goes")
    add("--tokens", type=int, help="tokens of an answer, 240")
    add("--seconds", type=float, help="how long each case is measured, 12, after all users have begun")
    add("--minutes", type=float, help="of the soak, 30")
    add("--streams", type=int, help="streams on which nothing happens, 2000")
    add("--workers", type=int, help="processes, and cores, of ours-workers, 2")
    add("--rounds", type=int, default=1)
    add("--json", type=Path, metavar="FILE")
    add("--plot", type=Path, metavar="FILE.png")
    return parser.parse_args()


def _choose_sizes(options: argparse.Namespace) -> Sizes:
    sizes = QUICK_SIZES if options.quick else Sizes()
    if options.users:
        most = max(options.users)
        others = dict.fromkeys(("steady_users", "most_users", "break_users", "soak_users", "people"), most)
        sizes = replace(sizes, users=tuple(options.users), **others)
    given = {
        "rate": options.rate,
        "tokens": options.tokens,
        "seconds": options.seconds,
        "soak_seconds": None if options.minutes is None else 60 * options.minutes,
        "open_streams": options.streams,
        "workers": options.workers,
    }
    return replace(sizes, **{name: value for name, value in given.items() if value is not None})


def _choose_ways(options: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Return the ways of each scenario; one that needs more than this machine is left out unless it is there."""
    table = QUICK_WAYS if options.quick and not options.ways else WAYS_OF_SCENARIO
    chosen = options.ways or WAYS
    has_services = "DATABASE_URL" in os.environ and "REDIS_URL" in os.environ
    return {
        scenario: tuple(way for way in table[scenario] if way in chosen and (has_services or not WAYS[way].is_shared))
        for scenario in options.scenarios
    }


def _allow_many_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run_all(jobs: list[Job], results: Results, stage: Stage) -> None:
    """Run the jobs one after the other; a way that failed in a scenario is not tried again there."""
    for number, job in enumerate(jobs, 1):
        key = (job.scenario, job.way)
        if key in results.failures:
            continue
        results.others.append(busy_share())
        began = time.monotonic()
        try:
            with stage.setting(job) as setting:
                os.sched_setaffinity(0, cores_for(job.workers)[1])
                figures = asyncio.run(MEASURES[job.scenario](job, setting))
        except (ServerFailed, ScenarioFailed, ReadingFailed, OSError, TimeoutError) as error:
            results.failures[key] = f"{type(error).__name__}: {error}"
        else:
            results.add(job, {str(job.users): figures})
        if key in results.failures or figures.get("failures"):
            print(f"The server's last words: {stage.last_words()}", file=sys.stderr)
        words = results.failures.get(key) or f"{time.monotonic() - began:.0f} s"
        print(
            f"[{number}/{len(jobs)}] round {job.round + 1} {job.scenario} {job.way} {job.users}: {words}",
            file=sys.stderr,
        )


def _as_json(results: Results, targets: list[Target]) -> dict[str, object]:
    return {
        "others_cpu_share": results.others,
        "results": results.as_json(),
        "targets": [{**asdict(target), "holds": target.holds} for target in targets],
        "failures": [[*key, why] for key, why in results.failures.items()],
    }


if __name__ == "__main__":
    main()
