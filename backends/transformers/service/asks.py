"""What an engine is asked, and by whom."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from backends.exceptions import ChatBackendError
from backends.transformers.protocol import encode_error


class Asker(Protocol):
    """Who asks an engine: a connection to the service."""

    number: int
    last_id: int
    """The highest id that it has used."""

    def send(self, message: Mapping[str, Any]) -> None: ...


@dataclass(eq=False, slots=True, kw_only=True)
class Ask:
    """A request that an engine has not been given yet: a generate, or a load where ``request`` is None."""

    asker: Asker
    id: int
    request: Mapping[str, Any] | None = None
    asked_at: float = 0.0
    timer: asyncio.TimerHandle | None = None

    def answer(self, state: str) -> None:
        """Say that it is done, to whoever asked for a state."""
        self.asker.send({"done": [self.id, {"state": state}]})

    def fail(self, error: ChatBackendError) -> None:
        self.asker.send({"errors": [[self.id, *encode_failure(error)]]})


def encode_failure(error: ChatBackendError) -> tuple[str | float, ...]:
    """Return the parts of an error, with the seconds to wait if it knows them."""
    wait = () if error.retry_after is None else (round(error.retry_after, 2),)
    return (*encode_error(error), *wait)
