"""Choosing the next token. Imported by the engine process alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from backends.exceptions import BackendUnavailable

LIKELY_TOKENS = 256
"""top_p nearly always needs fewer candidates than this; sorting 50,000 of them would cost more than the sampling."""


@dataclass(slots=True)
class Sampler:
    """One answer's way of choosing, with its own random numbers: the same seed gives the same text beside any others.

    ``seen`` holds, for each token of the vocabulary, whether prompt or answer contains it (bool, ``[vocabulary]``, on
    the model's device); None where nothing is penalised.
    """

    temperature: float
    top_p: float
    repetition_penalty: float
    generator: torch.Generator
    seen: torch.Tensor | None = None

    def choose(self, logits: torch.Tensor) -> int:
        """Return the next token's id from the logits of the last position (``[vocabulary]``).

        Raises:
            BackendUnavailable: the logits are no numbers (overflow in half precision, broken weights).
        """
        logits = logits.float()
        if not bool(torch.isfinite(logits.max())):  # NaN wins every max, so one number tells
            raise BackendUnavailable(
                "The model calculated values that are no numbers.",
                hint="Try the backend option dtype='float32'; if that does not help, the model's files are damaged.",
            )
        if self.seen is not None:
            penalised = torch.where(logits < 0, logits * self.repetition_penalty, logits / self.repetition_penalty)
            logits = torch.where(self.seen, penalised, logits)
        if self.temperature == 0:
            token = int(logits.argmax())
        else:
            token = self._draw(torch.softmax(logits / self.temperature, dim=-1))
        if self.seen is not None:
            self.seen[token] = True
        return token

    def remember(self, tokens: torch.Tensor) -> None:
        """Count these token ids (the prompt's) as repeated from now on."""
        if self.seen is not None:
            self.seen[tokens[tokens < len(self.seen)]] = True

    def _draw(self, probabilities: torch.Tensor) -> int:
        """Draw by inverse distribution function: one uniform number a token, so that seeds mean the same anywhere."""
        uniform = float(torch.rand((), generator=self.generator))
        if self.top_p == 1:
            return _first_above(probabilities.cumsum(0), uniform)
        likely, tokens = probabilities.topk(min(LIKELY_TOKENS, len(probabilities)))
        if float(likely.sum()) < self.top_p:
            likely, tokens = probabilities.sort(descending=True)
        cumulative = likely.cumsum(0)
        # The smallest set whose probabilities reach top_p: the token that crosses the line is in.
        kept = cumulative[: int((cumulative < self.top_p).sum()) + 1]
        return int(tokens[_first_above(kept, uniform)])


def _first_above(cumulative: torch.Tensor, uniform: float) -> int:
    """Return the first index whose cumulative weight exceeds this share of the total weight."""
    index = int(torch.searchsorted(cumulative, cumulative[-1] * uniform, right=True))
    return min(index, len(cumulative) - 1)  # rounding may put the share at the very end
