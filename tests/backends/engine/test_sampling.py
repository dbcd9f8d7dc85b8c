from __future__ import annotations

import random

import pytest
import torch

from backends.transformers.engine import sampling
from backends.transformers.engine.sampling import Choice, Sampler


def draw(probabilities, times=400, **choice):
    """Return tokens drawn from the same distribution, in a batch of as many rows."""
    logits = torch.tensor(probabilities).log().repeat(times, 1)
    sampler = Sampler(slots=times, vocabulary=logits.shape[1], device=logits.device)
    choices = [Choice(**{"temperature": 1, "numbers": random.Random(seed), **choice}) for seed in range(times)]
    return [chosen.token for chosen in sampler.choose(logits, choices, 0)]


PROBABILITIES = [0.05, 0.5, 0.15, 0.3]


def test_top_p_keeps_the_smallest_set_that_reaches_it():
    assert set(draw(PROBABILITIES, top_p=0.49)) == {1}
    assert set(draw(PROBABILITIES, top_p=0.7)) == {1, 3}
    assert set(draw(PROBABILITIES, top_p=0.81)) == {1, 2, 3}


def test_top_k_keeps_so_many():
    assert set(draw(PROBABILITIES, top_k=1)) == {1}
    assert set(draw(PROBABILITIES, top_k=2)) == {1, 3}
    assert set(draw(PROBABILITIES, top_k=100)) == {0, 1, 2, 3}


def test_top_p_counts_within_top_k():
    # Of 0.5 and 0.3, renewed to 0.625 and 0.375, the first alone reaches 0.6.
    assert set(draw(PROBABILITIES, top_k=2, top_p=0.6)) == {1}
    assert set(draw(PROBABILITIES, top_k=2, top_p=0.7)) == {1, 3}


@pytest.mark.parametrize("choice", [{}, {"top_k": 4}, {"top_p": 0.9999}])
def test_everything_is_drawn_as_often_as_it_should_be(choice):
    tokens = draw(PROBABILITIES, times=3000, **choice)
    assert [tokens.count(token) / 3000 for token in range(4)] == pytest.approx(PROBABILITIES, abs=0.03)


def test_temperature_sharpens_and_flattens():
    assert draw(PROBABILITIES, temperature=0.3).count(1) > 300
    assert draw(PROBABILITIES, temperature=2).count(1) < 200
    assert set(draw(PROBABILITIES, temperature=0)) == {1}


def test_a_flat_distribution_beyond_the_likely_tokens():
    flat = [1 / 5000] * 5000
    assert len(set(draw(flat, top_p=0.999))) > sampling.LIKELY_TOKENS
    assert len(set(draw(flat, top_k=2000))) > sampling.LIKELY_TOKENS


def test_each_row_has_its_own_way():
    logits = torch.tensor([[0.0, 3.0, 2.9], [0.0, 3.0, 2.9], [0.0, 3.0, 2.9], [float("nan"), 0.0, 0.0]])
    sampler = Sampler(slots=4, vocabulary=3, device=logits.device)
    kinds = [{"temperature": 0}, {"top_k": 1}, {"temperature": 0, "repetition_penalty": 2.0}, {}]
    choices = [Choice(**{"temperature": 1, "numbers": random.Random(1), **kind}) for kind in kinds]
    sampler.begin(2, choices[2], [1, 1, 5_000_000])
    chosen = sampler.choose(logits, choices, 0)
    assert [one.token for one in chosen[:3]] == [1, 1, 2]
    assert [one.is_sound for one in chosen] == [True, True, True, False]
    # What was chosen is penalised from now on as well.
    assert sampler.choose(logits, choices, 0)[2].token == 1


def test_the_penalty_moves_with_its_slot():
    logits = torch.tensor([[0.0, 3.0, 2.9]])
    sampler = Sampler(slots=3, vocabulary=3, device=logits.device)
    choice = Choice(temperature=0, repetition_penalty=2.0)
    sampler.begin(0, choice, [1])
    sampler.move(0, 2)
    assert sampler.choose(logits, [choice], 2)[0].token == 2
    sampler.begin(1, choice, [0])
    sampler.swap(1, 2)
    assert sampler.choose(logits, [choice], 2)[0].token == 1


def test_the_same_numbers_give_the_same_tokens_beside_any_others():
    logits = torch.randn(5, 1000, generator=torch.Generator().manual_seed(1))
    sampler = Sampler(slots=5, vocabulary=1000, device=logits.device)
    for more in ({}, {"top_p": 0.8}, {"top_k": 7}):
        alone = sampler.choose(logits[2:3], [Choice(temperature=1, numbers=random.Random(3), **more)], 2)[0].token
        others = [Choice(temperature=index / 3, numbers=random.Random(9 + index)) for index in range(5)]
        others[2] = Choice(temperature=1, numbers=random.Random(3), **more)
        assert sampler.choose(logits, others, 0)[2].token == alone
