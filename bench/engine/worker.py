"""One job in a process of its own: ``python -m bench.engine.worker JOB``; the last line it prints is the result.

A way has fresh memory and an interpreter lock of its own that way, and nothing that another way left running.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from typing import Any

from bench.engine.plan import Job


def main(text: str) -> None:
    job = Job.decode(text)
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as folder:
        # Whatever our engine leaves on disk to find itself again must not be that of a site that runs here.
        os.environ |= {"VAR_DIR": folder, "DJANGO_SETTINGS_MODULE": "bench.settings"}
        result = _run(job)
    print("\n" + json.dumps(result), flush=True)


def _run(job: Job) -> dict[str, Any]:
    if job.scenario == "prepare":
        from bench.engine.machine import describe_device
        from bench.engine.models import SHAPES, make_model

        return {
            "model": str(make_model(job.model)) if job.model in SHAPES else job.model,
            **describe_device(job.device),
        }
    if job.scenario == "bandwidth":
        from bench.engine.machine import measure_bandwidth

        return {"cases": {"": {"bytes_per_s": measure_bandwidth(job.device)}}}
    return _measure(job)


def _measure(job: Job) -> dict[str, Any]:
    import django

    django.setup()
    from bench.engine.scenarios import SCENARIOS
    from bench.engine.ways.ours import NotSupported

    try:
        return {"cases": asyncio.run(SCENARIOS[job.scenario](job))}
    except NotSupported as reason:
        return {"skipped": str(reason)}


if __name__ == "__main__":
    main(sys.argv[1])
