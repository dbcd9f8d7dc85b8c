"""The parameters of an answer that people may change where the assistant allows it: their names, words and bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One of them, as ``backends.ChatRequest`` names it."""

    kind: Literal["decimal", "whole"]
    label: Promise
    help: Promise
    minimum: float = 0
    maximum: float | None = None
    """None where nothing but the backend limits it."""
    has_slider: bool = False


PARAMETERS = {
    "temperature": Parameter(
        kind="decimal",
        label=_("Temperature"),
        help=_("Low: sober, and much the same each time. High: varied and daring."),
        maximum=2,
        has_slider=True,
    ),
    "top_p": Parameter(
        kind="decimal",
        label=_("Top p"),
        help=_("Below 1, unlikely words are left out; the lower, the more of them."),
        minimum=0.01,
        maximum=1,
        has_slider=True,
    ),
    "max_output_tokens": Parameter(
        kind="whole",
        label=_("Greatest length"),
        help=_("In tokens. 100 tokens are about 75 English words."),
        minimum=1,
        maximum=1_000_000,
    ),
    "seed": Parameter(
        kind="whole",
        label=_("Seed"),
        help=_("With the same number, the same question gets the same answer, if the model can do that."),
        # The greatest whole number that a browser's scripts can tell from its neighbours.
        maximum=2**53 - 1,
    ),
}

Values = dict[str, float | int]
"""What somebody changed, by the names of ``PARAMETERS``."""
