"""Writing on a CPU: a step recorded once as TorchScript, and calculated without Python.

A step of GPT-2 starts some thousand kernels, and most take less time than Python takes to start them: a fifth of a step
of eight answers. ADR 25 says why TorchScript, although PyTorch calls it deprecated. A recording is checked when it is
made, and where there is none to be had, steps are taken by Python.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from backends.transformers.engine.probes import probe
from backends.transformers.engine.slots import Slots
from backends.transformers.engine.steps import Steps

NEAR = 60
"""A place that is not far, so that looking back from there takes no time worth speaking of."""
Write = Callable[[Sequence[int], Sequence[int]], Tensor]
"""``Steps.write``."""

logger = logging.getLogger(__name__)


class Writing(nn.Module):  # type: ignore[misc]
    """A step of writing as a module, as ``torch.jit.trace`` wants it: its weights are attributes of the recording."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self.network = steps.network
        self._steps = steps

    def forward(self, tokens: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        window = self._steps.slots.window(0, positions, mask.shape[-1])
        return self._steps.calculate(tokens, window, mask)


class TracedSteps(Steps):
    """Steps whose writing is recorded, for any number of rows and any span."""

    def __init__(self, network: PreTrainedModel, slots: Slots) -> None:
        super().__init__(network, slots)
        self._recording: torch.jit.ScriptModule | None = None

    def warm_up(self) -> None:
        super().warm_up()
        if sys.version_info >= (3, 14):
            return  # PyTorch says that it may break there
        with warnings.catch_warnings():
            # That it is deprecated, and that sizes asked for become part of it: that is checked.
            warnings.simplefilter("ignore")
            try:
                self._recording = self._record()
                self.tuning = ("recorded steps",) if self._recording else ()
            except Exception as error:  # noqa: BLE001 - any model of any version: what it does in a trace is not known
                logger.info("Steps are not recorded: %s", error)

    def write(self, tokens: Sequence[int], positions: Sequence[int]) -> Tensor:
        if self._recording is None:
            return super().write(tokens, positions)
        return self._replay(self._recording, tokens, positions)

    def _record(self) -> torch.jit.ScriptModule | None:
        """Return a recording that reads and writes what Python does; None where it does not."""
        recording = torch.jit.trace(Writing(self), self._inputs([0, 0], [0, 1]), check_trace=False)
        python, replay = super().write, partial(self._replay, recording)
        # Alone at the end of the longest text, and all together; at neither place was it recorded.
        for rows, place in ((1, self.slots.context - 2), (self.slots.count, NEAR)):
            expected = self._write_twice(rows, place, python, python)
            for writers in ((replay, python), (python, replay)):
                if not torch.equal(self._write_twice(rows, place, *writers), expected):
                    logger.info("Steps are not recorded: a recording does not write what Python does.")
                    return None
        return recording

    def _write_twice(self, rows: int, place: int, first: Write, second: Write) -> Tensor:
        """Write two tokens in each row, where something else was before; return the logits after the second."""
        other, *tokens = probe(self.network, 1 + 2 * rows)[0].tolist()
        positions = [(place + row) % (self.slots.context - 1) for row in range(rows)]
        super().write([other] * rows, positions)
        first(tokens[:rows], positions)
        return second(tokens[rows:], [position + 1 for position in positions])

    def _replay(self, recording: torch.jit.ScriptModule, tokens: Sequence[int], positions: Sequence[int]) -> Tensor:
        # Its optimizer takes seconds of each start, for nothing that could be measured.
        with torch.jit.optimized_execution(should_optimize=False):
            logits: Tensor = recording(*self._inputs(tokens, positions))
        return logits

    def _inputs(self, tokens: Sequence[int], positions: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        both = torch.tensor([tokens, positions]).unsqueeze(2)
        return both[0], both[1], self.mask(self.slots.window(0, both[1], self._span(max(positions) + 1)))
