"""The ways that are compared; all answer to the part of the backends' contract that readers use."""

from __future__ import annotations

from bench.engine.plan import WAYS, Job
from bench.engine.readers import Streams


def open_way(job: Job, *, slots: int) -> Streams:
    """Return a job's way for so many streams at once, the model loaded or about to be by the first request.

    Raises:
        NotSupported: this machine, or this state of the code, does not know the way.
    """
    way = WAYS[job.way]
    match way.kind:
        case "seed":
            from bench.engine.ways.seed import ThreadPerRequest

            return ThreadPerRequest(job.model, job.device, way.dtype)
        case "continuous":
            from bench.engine.ways.continuous import ContinuousBatching

            return ContinuousBatching(job.model, job.device, way.dtype, slots=slots, longest=job.sizes.longest)
        case "ours":
            from bench.engine.ways.ours import open_backend

            return open_backend(job, way, slots)
