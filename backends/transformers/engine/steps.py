"""Forward passes over the slots: reading pieces of prompts, and writing one token of each answer."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from backends.exceptions import BackendMisconfigured
from backends.transformers.engine.attention import mask_dtype
from backends.transformers.engine.probes import PROBE_TOKENS, is_close, probe
from backends.transformers.engine.slots import Slots, Window

SPAN_STEP = 16
"""The places looked at are rounded up to this, which attention kernels like."""
WARM_UP_TOKENS = 64


class Steps:
    """What the scheduler asks of the model. Logits come back in float32, ``[n, vocabulary]``."""

    tuning: tuple[str, ...] = ()
    """What was done to make them quicker."""

    def __init__(self, network: PreTrainedModel, slots: Slots) -> None:
        self.network = network
        self.slots = slots
        self._extra = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(network.forward).parameters else {}
        self._places = torch.arange(slots.context, device=network.device)
        dtype = mask_dtype(network)
        self._seen = torch.zeros((), dtype=dtype, device=network.device)
        self._hidden = torch.full((), torch.finfo(dtype).min, dtype=dtype, device=network.device)

    def warm_up(self) -> None:
        """Do whatever costs time only once."""
        self.read(0, [[0] * min(WARM_UP_TOKENS, self.slots.context - 1)], [0])
        self.write([0], [0])

    def check(self) -> None:
        """Make sure that this architecture takes positions, masks and our cache as we give them.

        Raises:
            BackendMisconfigured: it writes something else in slots than by itself.
        """
        length = min(PROBE_TOKENS, self.slots.context - 1)
        tokens = probe(self.network, length)[0].tolist()
        logits = self.network(input_ids=probe(self.network, length), use_cache=False).logits[0].float()
        half, third = length // 2, length // 3
        self.read(0, [tokens[:half], tokens[:third]], [0, 0])
        self.read(0, [tokens[half:-1], tokens[third : length // 2]], [half, third])
        found = self.write([tokens[-1], tokens[length // 2]], [length - 1, length // 2])
        if not is_close(logits[[length - 1, length // 2]], found, self.network.dtype):
            raise BackendMisconfigured(
                f"{type(self.network).__name__} cannot write several answers at once in this engine.",
                hint="Serve such a model with vLLM or the like, and use the OpenAI backend for it.",
            )

    def read(self, first: int, pieces: Sequence[Sequence[int]], starts: Sequence[int]) -> torch.Tensor:
        """Read a piece of a prompt into each row from ``first`` on; return the logits after their last tokens.

        ``starts`` says how many tokens each row holds already. Shorter pieces are padded at their beginning; what the
        padding writes goes to the last place of the context, which no prompt reaches.
        """
        longest = max(map(len, pieces))
        tokens = [[0] * (longest - len(piece)) + list(piece) for piece in pieces]
        positions = [
            [self.slots.context - 1] * (longest - len(piece)) + list(range(start, start + len(piece)))
            for piece, start in zip(pieces, starts, strict=True)
        ]
        end = max(start + len(piece) for piece, start in zip(pieces, starts, strict=True))
        both = torch.tensor([tokens, positions]).to(self.network.device, non_blocking=True)
        return self.forward(both[0], self.slots.window(first, both[1], self._span(end)))

    def write(self, tokens: Sequence[int], positions: Sequence[int]) -> torch.Tensor:
        """Give each of the first rows its newest token, at its place; return the logits after it."""
        both = torch.tensor([tokens, positions]).unsqueeze(2).to(self.network.device, non_blocking=True)
        return self.forward(both[0], self.slots.window(0, both[1], self._span(max(positions) + 1)))

    def wait(self) -> None:
        """Wait until the device has done what it was told, so that time can be measured."""
        if self.network.device.type == "cuda":
            torch.cuda.synchronize(self.network.device)

    def forward(self, tokens: torch.Tensor, window: Window) -> torch.Tensor:
        """One pass, a function of the tensors in it and of the slots alone, so that it can be recorded as a graph.

        ``tokens`` is ``[n, q]``, as the window's positions are.
        """
        return self.calculate(tokens, window, self.mask(window))

    def mask(self, window: Window) -> torch.Tensor:
        """Return what is added to the scores of attention in all layers, ``[n, 1, q, span]``."""
        visible = self._places[: window.span] <= window.positions.unsqueeze(-1)
        return torch.where(visible, self._seen, self._hidden).unsqueeze(1)

    def calculate(self, tokens: torch.Tensor, window: Window, mask: torch.Tensor) -> torch.Tensor:
        """One pass with the mask of its window."""
        output = self.network(
            input_ids=tokens,
            position_ids=window.positions,
            attention_mask=mask,
            past_key_values=self.slots.open(window),
            use_cache=True,
            **self._extra,
        )
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits

    def _span(self, end: int) -> int:
        return min(-(-end // SPAN_STEP) * SPAN_STEP, self.slots.context)
