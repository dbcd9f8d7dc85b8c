"""Writing on CUDA: the kernels of a step recorded once and started with one call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from backends.transformers.engine.slots import Slots
from backends.transformers.engine.steps import Steps

logger = logging.getLogger(__name__)

WARM_UP_PASSES = 3
"""Before a recording, so that libraries have chosen their kernels and taken their memory (as PyTorch's guide says)."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One graph and the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    staging: torch.Tensor
    """Tokens and positions on the host, in memory that the device can read by itself, ``[2, n, 1]``."""
    inputs: torch.Tensor
    """The same on the device, where the graph looks for them."""
    logits: torch.Tensor


class GraphedSteps(Steps):
    """Steps whose writing is recorded for some numbers of rows and spans; anything in between is rounded up.

    A small model's step takes the device far less time than Python takes to start its hundreds of kernels one by one.
    Where a recording fails, steps are taken one kernel at a time, as on a CPU.
    """

    def __init__(self, network: PreTrainedModel, slots: Slots) -> None:
        super().__init__(network, slots)
        self._counts = row_counts(slots.count)
        self._spans = spans(slots.context)
        self._recordings: dict[tuple[int, int], Recording] = {}

    def warm_up(self) -> None:
        super().warm_up()
        try:
            pool = torch.cuda.graph_pool_handle()
            # The largest first: the smaller ones find their memory in the pool.
            for count in reversed(self._counts):
                for span in reversed(self._spans):
                    self._recordings[count, span] = self._record(count, span, pool)
            self.tuning = ("CUDA graphs",)
        except (torch.AcceleratorError, torch.OutOfMemoryError, RuntimeError) as error:
            logger.warning("Steps are not recorded as CUDA graphs: %s", error)
            self._recordings.clear()
            torch.cuda.synchronize()

    def write(self, tokens: Sequence[int], positions: Sequence[int]) -> torch.Tensor:
        count = next(count for count in self._counts if count >= len(tokens))
        span = next(span for span in self._spans if span > max(positions))
        recording = self._recordings.get((count, span))
        if recording is None:
            return super().write(tokens, positions)
        # The other rows write where padding does: to the last place, which is written anew before it is looked at.
        recording.staging[:, : len(tokens), 0] = torch.tensor([tokens, positions])
        recording.staging[1, len(tokens) :, 0] = self.slots.context - 1
        recording.inputs.copy_(recording.staging, non_blocking=True)
        recording.graph.replay()
        return recording.logits[: len(tokens)]

    def _record(self, count: int, span: int, pool: tuple[int, int]) -> Recording:
        inputs = torch.zeros(2, count, 1, dtype=torch.long, device=self.network.device)
        window = self.slots.window(0, inputs[1], span)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_PASSES):
                self.forward(inputs[0], window)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            logits = self.forward(inputs[0], window)
        return Recording(graph, torch.zeros(2, count, 1, dtype=torch.long).pin_memory(), inputs, logits)


def row_counts(most: int) -> list[int]:
    """Return 1, 2, 4, … up to the number of slots."""
    counts = [1]
    while counts[-1] < most:
        counts.append(min(2 * counts[-1], most))
    return counts


def spans(context: int) -> list[int]:
    """Return a quarter, a half and the whole of the context, but nothing shorter than 256 places."""
    return sorted({max(context // part, min(256, context)) for part in (4, 2, 1)})
