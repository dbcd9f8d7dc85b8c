"""Attention in float32 of what is remembered in bfloat16."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from backends.transformers.engine import attention

ROWS, HEADS, SPAN, SIZE = 5, 4, 12, 8
MODULE = SimpleNamespace(is_causal=True, num_key_value_groups=1)


def tensors(queries, *, key_heads=HEADS):
    generator = torch.Generator().manual_seed(3)
    query = torch.randn(ROWS, HEADS, queries, SIZE, generator=generator)
    memory = torch.randn(2, 2 * ROWS, key_heads, 3 * SPAN, SIZE, generator=generator).bfloat16()
    keys, values = memory[:, ROWS:, :, :SPAN]  # what a window over slots is: a part of each row
    hidden = torch.rand(ROWS, 1, queries, SPAN, generator=generator) < 0.3
    hidden[..., 0] = False
    mask = torch.where(hidden, torch.finfo(torch.float32).min, 0.0)
    return query.bfloat16(), keys, values, mask


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("at_once", [1, 2 * HEADS * SPAN * SIZE, 10**6])
def test_it_is_what_float32_gives_however_many_answers_are_widened_at_once(queries, at_once, monkeypatch):
    monkeypatch.setattr(attention, "WIDENED_AT_ONCE", at_once)
    query, keys, values, mask = tensors(queries)
    found, _ = attention.attend_in_float32(MODULE, query, keys, values, mask)
    wanted, _ = sdpa_attention_forward(MODULE, query.float(), keys.float(), values.float(), mask)
    assert found.dtype == torch.bfloat16
    assert found.shape == (ROWS, queries, HEADS, SIZE)
    assert torch.equal(found, wanted.bfloat16())


def test_heads_may_share_keys(monkeypatch):
    monkeypatch.setattr(attention, "WIDENED_AT_ONCE", 1)
    module = SimpleNamespace(is_causal=True, num_key_value_groups=2)
    query, keys, values, mask = tensors(1, key_heads=HEADS // 2)
    found, _ = attention.attend_in_float32(module, query, keys, values, mask)
    wanted, _ = sdpa_attention_forward(module, query.float(), keys.float(), values.float(), mask)
    assert torch.equal(found, wanted.bfloat16())


def test_memory_made_in_inference_mode_serves_outside_of_it():
    attention._memories.cache_clear()
    tensors_of_five = tensors(1)
    with torch.inference_mode():
        within, _ = attention.attend_in_float32(MODULE, *tensors_of_five)
    outside, _ = attention.attend_in_float32(MODULE, *tensors_of_five)
    assert torch.equal(within, outside)


def test_an_answer_that_is_larger_than_the_memory_is_widened_all_the_same():
    query, keys, values, mask = tensors(1)
    small = torch.empty(7), torch.empty(7)
    found = attention._attend_with_one(query, keys, values, mask, None, 1, *small)
    wanted, _ = sdpa_attention_forward(MODULE, query.float(), keys.float(), values.float(), mask)
    assert torch.equal(found, wanted.bfloat16())
