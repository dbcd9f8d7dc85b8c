"""Choosing the next tokens of all answers at once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

LIKELY_TOKENS = 256
"""top_p nearly always needs fewer candidates than this; sorting 50,000 of them would cost more than the sampling."""


@dataclass(slots=True, kw_only=True)
class Choice:
    """One answer's way of choosing, with random numbers of its own: a seed gives the same text beside any others."""

    temperature: float
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    numbers: random.Random = field(default_factory=random.Random)
    wants_probability: bool = False

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0 or self.top_k == 1

    @property
    def penalises(self) -> bool:
        return self.repetition_penalty != 1


@dataclass(frozen=True, slots=True)
class Chosen:
    """The next token of one answer."""

    token: int
    probability: float
    """What the model itself gave it, before temperature and penalty; 1 where nobody asked."""
    is_sound: bool
    """Whether the model calculated numbers at all."""


class Sampler:
    """Chooses for the rows of a batch, and remembers per slot which tokens a penalised answer holds."""

    def __init__(self, *, slots: int, vocabulary: int, device: torch.device) -> None:
        self._device = device
        self._vocabulary = vocabulary
        self._held = torch.zeros(slots, vocabulary, dtype=torch.bool, device=device)
        """Whether prompt or answer of a slot contains a token."""

    def begin(self, slot: int, choice: Choice, tokens: Sequence[int]) -> None:
        """Take note of a prompt, where its answer is penalised for repeating it."""
        if choice.penalises:
            self._held[slot] = False
            self._held[slot, torch.tensor([token for token in tokens if token < self._vocabulary])] = True

    def move(self, source: int, target: int) -> None:
        self._held[target] = self._held[source]

    def swap(self, one: int, other: int) -> None:
        self._held[[one, other]] = self._held[[other, one]]

    def choose(self, logits: torch.Tensor, choices: Sequence[Choice], first: int) -> list[Chosen]:
        """Return a token for each row of logits (``[n, vocabulary]``), which are those of the slots from ``first`` on.

        One copy comes back from the device; a second one only for rows so flat that ``LIKELY_TOKENS`` do not reach
        their ``top_p``.
        """
        scores = self._penalise(logits, choices, first)
        uniform = [0.0 if choice.is_greedy else choice.numbers.random() for choice in choices]
        tokens = scores.argmax(-1)
        for rows, draw in ((_rows(choices, truncated=False), _draw_from_all), (_rows(choices, truncated=True), _draw)):
            if rows:
                tokens[rows] = draw(scores[rows], _Limits.of(choices, uniform, rows, self._device))
        sound = torch.isfinite(logits.amax(-1))  # NaN wins every maximum, so one number tells
        given = _probabilities(logits, tokens, choices)
        # Ids are exact in float32 up to 2**24, and nothing but this crosses to the host.
        ids, sounds, probabilities = torch.stack([tokens.float(), sound.float(), given]).tolist()
        if flat := [row for row, id_ in enumerate(ids) if id_ < 0]:
            limits = _Limits.of(choices, uniform, flat, self._device)
            for row, id_ in zip(flat, _draw(scores[flat], limits, self._vocabulary).tolist(), strict=True):
                ids[row] = id_
        chosen = [Chosen(int(id_), p, bool(s)) for id_, p, s in zip(ids, probabilities, sounds, strict=True)]
        self._remember(chosen, choices, first)
        return chosen

    def _penalise(self, logits: torch.Tensor, choices: Sequence[Choice], first: int) -> torch.Tensor:
        """Return logits in which what an answer holds already is less likely (Keskar et al. 2019, arXiv:1909.05858)."""
        if not any(choice.penalises for choice in choices):
            return logits
        factors = torch.tensor([choice.repetition_penalty for choice in choices]).to(self._device).unsqueeze(1)
        held = self._held[first : first + len(choices)] & (factors != 1)
        return torch.where(held, torch.where(logits < 0, logits * factors, logits / factors), logits)

    def _remember(self, chosen: Sequence[Chosen], choices: Sequence[Choice], first: int) -> None:
        rows = [row for row, choice in enumerate(choices) if choice.penalises]
        if rows:
            where = torch.tensor([[first + row for row in rows], [chosen[row].token for row in rows]]).to(self._device)
            self._held[where[0], where[1]] = True


@dataclass(frozen=True, slots=True)
class _Limits:
    """The figures of the rows that draw, on the device, each ``[m, 1]``."""

    temperature: torch.Tensor
    top_p: torch.Tensor
    top_k: torch.Tensor
    uniform: torch.Tensor

    @classmethod
    def of(
        cls, choices: Sequence[Choice], uniform: Sequence[float], rows: Sequence[int], device: torch.device
    ) -> _Limits:
        figures = [[choices[row].temperature, choices[row].top_p, choices[row].top_k, uniform[row]] for row in rows]
        return cls(*torch.tensor(figures).to(device, non_blocking=True).split(1, dim=1))


def _rows(choices: Sequence[Choice], *, truncated: bool) -> list[int]:
    """Return the rows that draw from all tokens, or from some."""
    return [
        row
        for row, choice in enumerate(choices)
        if not choice.is_greedy and (choice.top_p < 1 or choice.top_k > 0) == truncated
    ]


def _draw_from_all(scores: torch.Tensor, limits: _Limits) -> torch.Tensor:
    """Draw by inverse distribution function: one uniform number a token, so that seeds mean the same anywhere."""
    cumulative = torch.softmax(scores / limits.temperature, dim=-1).cumsum(-1)
    return _first_above(cumulative, limits.uniform).squeeze(1)


def _draw(scores: torch.Tensor, limits: _Limits, candidates: int = LIKELY_TOKENS) -> torch.Tensor:
    """Draw from the most likely tokens within top_k and then top_p; -1 where more candidates are needed to tell.

    The smallest set whose probabilities reach top_p is kept (Holtzman et al. 2020, arXiv:1904.09751), the token that
    crosses the line included.
    """
    scaled = scores / limits.temperature
    candidates = min(candidates, scores.shape[-1])
    values, tokens = scaled.topk(candidates)
    probabilities = (values - scaled.logsumexp(-1, keepdim=True)).exp()
    is_cut = (limits.top_k > 0) & (limits.top_k <= candidates)
    order = torch.arange(candidates, device=scores.device)
    within = probabilities.masked_fill(is_cut & (order >= limits.top_k), 0)
    within = torch.where(is_cut, within / within.sum(-1, keepdim=True), within)
    cumulative = within.cumsum(-1)
    kept = (cumulative - within < limits.top_p) & (within > 0)
    index = _first_above(within.masked_fill(~kept, 0).cumsum(-1), limits.uniform)
    # Rounding may put the share at the very end.
    index = torch.minimum(index, kept.sum(-1, keepdim=True) - 1)
    settled = is_cut | ((limits.top_k == 0) & (cumulative[:, -1:] >= limits.top_p))
    if candidates == scores.shape[-1]:
        settled = torch.ones_like(settled)
    return torch.where(settled, tokens.gather(-1, index), -1).squeeze(1)


def _first_above(cumulative: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Return the first index whose cumulative weight exceeds this share of the whole weight, ``[m, 1]``."""
    index = torch.searchsorted(cumulative, cumulative[:, -1:] * uniform, right=True)
    return index.clamp(max=cumulative.shape[-1] - 1)


def _probabilities(logits: torch.Tensor, tokens: torch.Tensor, choices: Sequence[Choice]) -> torch.Tensor:
    """Return what the model gave the chosen tokens; 1 where no answer of the batch asks for it."""
    if not any(choice.wants_probability for choice in choices):
        return torch.ones_like(logits[:, 0])
    chosen = logits.gather(-1, tokens.clamp(min=0).unsqueeze(1)).squeeze(1)
    return (chosen - logits.logsumexp(-1)).exp()
