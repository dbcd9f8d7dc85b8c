"""How sure the guide must be of an answer to give it: a line that each training draws anew, kept beside the weights."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "guide.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """The line between answering and saying that one is unsure."""

    confidence_tokens: int
    """So many tokens decide which answer it is; the product of their probabilities is the confidence."""
    least_confidence: float
    """An answer with less is not given."""

    def suffices(self, confidence: float) -> bool:
        """Tell whether an answer with this confidence is to be given."""
        return confidence >= self.least_confidence


ALWAYS = Certainty(confidence_tokens=0, least_confidence=0.0)
"""What holds for a checkpoint that has no line: it is never unsure."""


def load_certainty(folder: Path) -> Certainty:
    """Return the line of the checkpoint in the folder."""
    try:
        return Certainty(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ALWAYS


def save_certainty(certainty: Certainty, folder: Path) -> None:
    """Write the line beside the weights."""
    (folder / FILE).write_text(json.dumps(asdict(certainty), indent=2) + "\n", encoding="utf-8")


def line_above(strays: Iterable[float], margin: float = 0.02) -> float:
    """Return the line just above the confidences of answers that ought not to be given."""
    return round(min(max(strays, default=0.0) + margin, 0.99), 3)
