"""What a local model says beyond the contract of all backends."""

from __future__ import annotations

from dataclasses import dataclass

from backends.base import StreamEvent


@dataclass(frozen=True, slots=True)
class Confidence(StreamEvent):
    """How sure the model is of how its answer begins; comes before any text, where the request asked for it."""

    probability: float
    """The product of the probabilities of the first tokens, 0 to 1."""
