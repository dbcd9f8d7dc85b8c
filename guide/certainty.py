"""What the guide says: the model's answer, the look-up's, or that it is unsure.

The model knows what words mean together, the look-up what words there are, and familiarity which of them are foreign.
Where they disagree, the product of what they hold for likely decides (a product of experts: Hinton, Neural Computation
14, 2002). Below a line, which each training draws anew and keeps beside the weights, none is believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from guide.familiarity import familiarity
from guide.nearest import index, language_of, refusal

FILE = "guide.json"

FAMILIARITY_POWER = 2.0
"""How much it counts beside model and look-up whether the question sounds like one about the site."""
REFUSAL_LIKELIHOOD = 0.05
"""What the look-up, which knows nothing of it, holds of the refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """The line between answering and saying that one is unsure."""

    confidence_tokens: int = 0
    """So many tokens decide which answer it is; the product of their probabilities is the model's confidence."""
    least: Mapping[str, float] = field(default_factory=dict)
    """By language: a guess with less certainty is not given."""

    def suffices(self, guess: Guess) -> bool:
        """Tell whether the guess is to be given."""
        return guess.certainty >= self.least.get(guess.language, 0.0)


ALWAYS = Certainty()
"""What holds for a checkpoint that has no line: it is never unsure."""


@dataclass(frozen=True, slots=True)
class Guess:
    """The likeliest answer to a question."""

    language: str
    text: str
    certainty: float
    """0 to 1; no probability, but greater is likelier."""


def guess(question: str, beginning: str, confidence: float) -> Guess:
    """Return the likeliest answer, where the model began one like this and was so sure of the beginning."""
    language = language_of(question)
    if text := index(language).titled(question):  # a question off a list of those that may have been meant
        return Guess(language, text, 1.0)
    likely = {refusal(language): REFUSAL_LIKELIHOOD} | index(language).likelihoods(question)
    ours = familiarity(language).of(question)

    def guess_of(text: str, confidence: float) -> Guess:
        fits = 1 - ours if text == refusal(language) else ours
        return Guess(language, text, confidence * likely[text] * fits**FAMILIARITY_POWER)

    guesses = [guess_of(max(likely, key=lambda text: likely[text]), (1 - confidence) / 2)]
    begun = (text for text in likely if beginning and (text.startswith(beginning) or beginning.startswith(text)))
    guesses += [guess_of(text, confidence) for text in begun]
    return max(guesses, key=lambda each: each.certainty)


def load_certainty(folder: Path) -> Certainty:
    """Return the line of the checkpoint in the folder."""
    try:
        return Certainty(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ALWAYS


def save_certainty(certainty: Certainty, folder: Path) -> None:
    """Write the line beside the weights."""
    (folder / FILE).write_text(json.dumps(asdict(certainty), indent=2) + "\n", encoding="utf-8")


def line_above(strays: Iterable[float], margin: float = 1.05) -> float:
    """Return the line just above the certainties of answers that ought not to be given."""
    return min(max(strays, default=0.0) * margin, 1.0)
