"""Whose turn it is. Imported by the engine process alone.

Continuous batching goes here: everything outside knows submit, cancel, step and status only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import torch

from backends.exceptions import BackendUnavailable, ChatBackendError
from backends.transformers.answers import Answer, Progress
from backends.transformers.model import LoadedModel
from backends.transformers.protocol import decode_request, encode_error

MOST_ACTIVE = 16
"""Answers written at the same time, each with its own cache (GPT-2: up to 75 MB); the others wait for their turn."""


class Scheduler:
    """Writes answers side by side, one step of each in turn.

    What it reports is the protocol's line for one round. An error ends the answer that it happened in and no other.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._waiting: deque[tuple[int, Mapping[str, Any]]] = deque()
        self._active: dict[int, Answer] = {}

    @property
    def is_idle(self) -> bool:
        return not self._active and not self._waiting

    def submit(self, id_: int, fields: Mapping[str, Any]) -> None:
        """Take a request (as in the protocol); it is looked at when its turn comes."""
        self._waiting.append((id_, fields))

    def cancel(self, id_: int) -> None:
        """Forget an answer and free its memory. Says nothing about it any more; unknown ids are over already."""
        self._active.pop(id_, None)
        self._waiting = deque(request for request in self._waiting if request[0] != id_)

    def status(self) -> dict[str, Any]:
        return {
            "active": len(self._active),
            "waiting": len(self._waiting),
            "device": str(self._model.device),
            "dtype": str(self._model.network.dtype).removeprefix("torch."),
            "context": self._model.context,
        }

    def step(self) -> dict[str, Any]:
        """Advance each active answer by one step, take in one that waits, and return the report.

        The new one is read from the next round on, so that "reading" is said before it happens, not after.
        """
        round_ = _Round()
        for id_, answer in list(self._active.items()):
            self._advance(id_, answer, round_)
        if self._waiting and len(self._active) < MOST_ACTIVE:
            self._begin(*self._waiting.popleft(), round_)
        return round_.report()

    def _begin(self, id_: int, fields: Mapping[str, Any], round_: _Round) -> None:
        try:
            self._active[id_] = Answer(self._model, decode_request(fields))
        except Exception as error:  # noqa: BLE001 - a bad request fails alone, and the error goes to whoever sent it
            round_.fail(id_, error)
        else:
            round_.reading.append(id_)

    def _advance(self, id_: int, answer: Answer, round_: _Round) -> None:
        try:
            progress = answer.step()
        except torch.AcceleratorError:
            raise  # the device is unusable for this process; a new one is started
        except Exception as error:  # noqa: BLE001 - the others go on, and the error goes to whoever sent the request
            del self._active[id_]
            round_.fail(id_, error)
        else:
            if progress.finish:
                del self._active[id_]
            round_.add(id_, progress)


class _Round:
    """What happened in one round."""

    def __init__(self) -> None:
        self.reading: list[int] = []
        self._events: list[tuple[int, str, str | None, tuple[int, int] | None]] = []
        self._errors: list[tuple[int, str, str, str]] = []

    def add(self, id_: int, progress: Progress) -> None:
        usage = progress.usage
        if progress.text or progress.finish:
            counts = (usage.input_tokens, usage.output_tokens) if usage else None
            self._events.append((id_, progress.text, progress.finish, counts))

    def fail(self, id_: int, error: Exception) -> None:
        if isinstance(error, torch.OutOfMemoryError):
            known: ChatBackendError = BackendUnavailable(
                "The device has no memory left for another answer.",
                hint="Use a smaller model, or dtype='bfloat16', or a smaller context_window.",
            )
        elif isinstance(error, ChatBackendError):
            known = error
        else:
            known = BackendUnavailable(f"The model failed at this request: {type(error).__name__}: {error}"[:500])
        self._errors.append((id_, *encode_error(known)))

    def report(self) -> dict[str, Any]:
        parts = {"reading": self.reading, "events": self._events, "errors": self._errors}
        return {name: part for name, part in parts.items() if part}
