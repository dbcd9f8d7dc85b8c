"""What of a step has to be written in TorchScript, so that a trace of the step (``traces``) can hold it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import torch


def scripted_in_traces(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let traces take the function as TorchScript: with its loops, and with kernels that a trace does not know."""
    script = cache(lambda: torch.jit.script(function))

    @wraps(function)
    def call(*arguments: Any) -> Any:
        return (script() if torch.jit.is_tracing() else function)(*arguments)

    return call
