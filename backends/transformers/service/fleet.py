"""All engines of a service, and which of them may have a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from backends.exceptions import BackendMisconfigured
from backends.transformers.service.asks import Asker
from backends.transformers.service.engines import Engine, Surroundings


class Fleet:
    """Engines by their options, at most ``max_models`` of them with a process.

    One more makes the least recently used idle engine end. Where all are busy, the least recently used one is held: it
    gets no further requests until it is idle and ends, so that everybody's wait is bounded.
    """

    def __init__(self, command: Sequence[str], max_models: int, deliver: Callable[[int, bytes], None]) -> None:
        self._surroundings = Surroundings(command=command, deliver=deliver, settle=self._settle)
        self._max_models = max_models
        self._engines: dict[str, Engine] = {}
        self._is_closing = False
        self._is_closed = asyncio.Event()

    def engine(self, key: str) -> Engine:
        """Return the engine of these options.

        Raises:
            BackendMisconfigured: they are no options of an engine.
        """
        if key not in self._engines:
            try:
                self._engines[key] = Engine(key, self._surroundings)
            except (TypeError, ValueError) as error:
                raise BackendMisconfigured(
                    f"The engine service does not understand the options of the engine: {error}",
                    hint="Is it of the same version as the site? Restart it.",
                ) from error
        return self._engines[key]

    def forget(self, asker: Asker) -> None:
        """Drop all that this connection asked of any engine."""
        for engine in self._engines.values():
            engine.forget(asker)

    async def describe(self) -> list[dict[str, Any]]:
        return await asyncio.gather(*(engine.describe() for engine in self._engines.values()))

    async def close(self) -> None:
        """End all processes and wait until they are gone; none is started any more."""
        self._is_closing = True
        for engine in self._engines.values():
            engine.end()
        self._settle()
        await self._is_closed.wait()

    def _settle(self) -> None:
        """Start what is wanted where there is room, make room where there is none, and send what may be sent."""
        running = [engine for engine in self._engines.values() if engine.has_process]
        if self._is_closing:
            if not running:
                self._is_closed.set()
            return
        wanted = sorted((engine for engine in self._engines.values() if engine.is_wanted), key=_asked_at)
        free = max(self._max_models - len(running), 0)
        for engine in wanted[:free]:
            engine.start()
        ending = sum(engine.is_ending for engine in running)
        self._make_room(len(wanted) - free - ending, [engine for engine in running if not engine.is_ending])

    def _make_room(self, how_many: int, running: list[Engine]) -> None:
        for place, engine in enumerate(sorted(running, key=lambda engine: (not engine.is_idle, engine.last_used))):
            engine.is_held = place < how_many
            if engine.is_held and engine.is_idle:
                engine.end()
            elif not engine.is_held:
                engine.feed()


def _asked_at(engine: Engine) -> float:
    return engine.waiting[0].asked_at
