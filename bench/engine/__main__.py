"""Compare the local engine with simpler ways, all in one run: ``python -m bench.engine``.

Each way runs in processes of its own, all ways take turns in each round, and what counts are the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.engine.floor import floor_ms, read_shapes, values_per_token, weights_per_step
from bench.engine.machine import busy_share, describe_machine
from bench.engine.plan import (
    CPU_SIZES,
    CPU_WAYS,
    CUDA_SIZES,
    CUDA_WAYS,
    QUICK_SIZES,
    SCENARIOS,
    WAYS,
    Job,
    Sizes,
    list_jobs,
)
from bench.engine.plot import draw
from bench.engine.report import format_head, format_report
from bench.engine.results import Results, compare

ROOT = Path(__file__).resolve().parents[2]


class WorkerFailed(Exception):
    """A worker process brought no result."""


def main() -> None:
    options = _parse_options()
    if options.quick:
        # Where something else runs too, two threads that wait for each other take ten times as long as one.
        os.environ["OMP_NUM_THREADS"] = "1"
    shape = options.model or ("tiny" if options.tiny or options.quick else "gpt2")
    machine = describe_machine()
    prepared = _run(Job(scenario="prepare", sizes=QUICK_SIZES, model=shape, device=options.device), options.timeout)
    model, device = prepared.pop("model"), prepared["device"]
    sizes, ways = _choose(options, device)
    job = Job(scenario="", sizes=sizes, model=model, device=device)
    jobs = list_jobs(job, ways, tuple(options.scenarios), options.rounds)
    results = Results()
    try:
        _run_all(jobs, results, options.timeout)
    except KeyboardInterrupt:
        print("\nStopped; what was measured until then:", file=sys.stderr)
    _add_floor(results, Path(model), sizes)
    targets = compare(results, device, sizes.streams)
    if options.quick or options.tiny:
        targets = [replace(target, limit=None) for target in targets]
    name = {"gpt2": "GPT-2 124M, random weights", "tiny": "GPT-2 4x256, random weights"}.get(shape, shape)
    machine |= prepared
    print(format_report(results, targets, format_head(machine, name, sizes, options.rounds)))
    if options.json:
        content = {"machine": machine, "model": name, "rounds": options.rounds, "sizes": asdict(sizes)}
        content |= {
            "others_cpu_share": results.others,
            "results": results.as_json(),
            "ratios": [{**asdict(target), "holds": target.holds} for target in targets],
            "failures": [[*key, why] for key, why in results.failures.items()],
        }
        options.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if options.plot:
        options.plot.write_text(draw(_lines(results), f"Tokens a second, {name}, {machine['device_name']}"))


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a folder with a real model; by default GPT-2 124M with random weights")
    parser.add_argument("--tiny", action="store_true", help="a model of 4 layers of 256, random weights too")
    parser.add_argument("--quick", action="store_true", help="only to see that all runs: tiny, few tokens, one round")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--rounds", type=int, help="3 by default")
    parser.add_argument("--streams", type=int, nargs="+", help="by default 1 8 16, with CUDA 1 8 32 128")
    parser.add_argument("--tokens", type=int, help="new tokens per answer, 64 by default")
    parser.add_argument("--ways", nargs="+", choices=WAYS, metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=SCENARIOS, metavar="SCENARIO")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one job")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    if options.model:
        options.model = str(Path(options.model).resolve())
    return options


def _choose(options: argparse.Namespace, device: str) -> tuple[Sizes, tuple[str, ...]]:
    is_cuda = device.startswith("cuda")
    sizes = QUICK_SIZES if options.quick else CUDA_SIZES if is_cuda else CPU_SIZES
    if options.streams:
        sizes = replace(sizes, streams=tuple(options.streams))
    if options.tokens:
        sizes = replace(sizes, tokens=options.tokens)
    ways = tuple(options.ways or ())
    if not ways:
        ways = ("seed", "cb", "ours") if options.quick else CUDA_WAYS if is_cuda else CPU_WAYS
    return sizes, ways


def _run_all(jobs: list[Job], results: Results, timeout: float) -> None:
    """Run the jobs one after the other; a way that failed or is not known is not tried again."""
    for number, job in enumerate(jobs, 1):
        key = (job.scenario, job.way)
        if key in results.failures:
            continue
        results.others.append(busy_share())
        began = time.monotonic()
        try:
            result = _run(job, timeout)
        except WorkerFailed as error:
            result = {"skipped": str(error)}
        if "skipped" in result:
            results.failures[key] = result["skipped"]
        else:
            results.add(job, result["cases"])
        words = result.get("skipped") or f"{time.monotonic() - began:.0f} s"
        print(f"[{number}/{len(jobs)}] round {job.round + 1} {job.scenario} {job.way}: {words}", file=sys.stderr)


def _run(job: Job, timeout: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.engine.worker", job.encode()]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise WorkerFailed(f"not done after {timeout:g} seconds") from error
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        complaints = [line for line in done.stderr.splitlines() if line.strip()]
        raise WorkerFailed(complaints[-1][:300] if complaints else f"exit status {done.returncode}")
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def _add_floor(results: Results, folder: Path, sizes: Sizes) -> None:
    """Add the share of each way's step that reading its weights must take at this machine's bandwidth."""
    bandwidth = results.median("bandwidth", "", "", "bytes_per_s")
    shapes = read_shapes(folder)
    if not bandwidth or not shapes:
        return
    weights = weights_per_step(shapes)
    values = values_per_token(json.loads((folder / "config.json").read_text()))
    context = sum(sizes.prompt) / 2 + sizes.tokens / 2
    for way, case in results.cases("throughput"):
        size = results.median("throughput", way, case, "bytes_per_weight")
        step = results.median("throughput", way, case, "step_ms")
        if size and step:
            floor = floor_ms(
                weights=weights,
                values=values,
                bytes_per_weight=size,
                streams=int(case),
                context=context,
                bytes_per_s=bandwidth,
            )
            figures = {"floor_ms": floor, "share": floor / step}
            results.figures["floor", way, case] = {name: [value] for name, value in figures.items()}


def _lines(results: Results) -> dict[str, dict[int, float]]:
    lines: dict[str, dict[int, float]] = {}
    for way, case in results.cases("throughput"):
        value = results.median("throughput", way, case, "tokens_per_s")
        if value is not None:
            lines.setdefault(way, {})[int(case)] = value
    return dict(sorted(lines.items(), key=lambda line: -max(line[1].values())))


if __name__ == "__main__":
    main()
