"""Our engine, through the contract and the options that anybody may set."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from backends.transformers import TransformersBackend
from bench.engine.plan import Job, Way

CLOSING_SECONDS = 10


class NotSupported(Exception):
    """The backend says that it does not know the way."""


class BackendWithService(TransformersBackend):
    """Ends the engine service that it made start: it would linger, and hold memory beside the next way's."""

    async def aclose(self) -> None:
        service = (await self.client.status())["pid"]
        await super().aclose()
        await asyncio.to_thread(_end_service, service, Path(self.engine_address.removeprefix("unix:")))


def _end_service(pid: int, socket: Path) -> None:
    """End it, and wait until it has ended its engines: the socket goes last."""
    os.kill(pid, signal.SIGTERM)
    for _ in range(CLOSING_SECONDS * 20):
        if not socket.exists():
            return
        time.sleep(0.05)


def open_backend(job: Job, way: Way, slots: int) -> TransformersBackend:
    backend = BackendWithService(
        model=job.model,
        device=job.device,
        dtype=way.dtype,
        slots=slots,
        max_waiting=max(64, 2 * slots),  # all arrive at once, and none shall be refused
        repetition_penalty=1.0,
        engine=f"unix:{os.environ['VAR_DIR']}/engine.sock",
        **dict(way.options),
    )
    if found := backend.check():
        raise NotSupported(" ".join(message.msg for message in found))
    return backend
