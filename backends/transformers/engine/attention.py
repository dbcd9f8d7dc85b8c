"""Attention in float32 inside a network in bfloat16, for CPUs.

PyTorch's attention kernel for CPUs takes five times as long for a single query in bfloat16 as in float32, since it
widens all keys and values anew for each token (measured: eight answers of 512 tokens, 5.8 against 1.1 ms a layer).
Here they are widened once a layer, a few answers at a time, into memory that stays in the processor's caches: less
than reading them as float32 from the slots would take, which would also have to be twice as large.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from backends.transformers.engine.scripts import scripted_in_traces

NAME = "float32_sdpa"
WIDENED_AT_ONCE = 1_000_000
"""Numbers, of keys and of values each: 4 MB, which caches hold. A single answer may have more of them."""


def attend_in_float32(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Do what transformers' ``sdpa`` does, in float32; the result is in the query's dtype, ``[n, q, heads, size]``."""
    is_plain = options.get("softcap") is None and options.get("position_bias") is None
    if query.shape[2] == 1 and attention_mask is not None and is_plain:
        scale = options.get("scaling")
        return _attend_with_one(query, key, value, attention_mask, scale, WIDENED_AT_ONCE, *_memories()), None
    output, _ = sdpa_attention_forward(module, query.float(), key.float(), value.float(), attention_mask, **options)
    return output.to(query.dtype), None


@scripted_in_traces
def _attend_with_one(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    scale: float | None,
    most: int,
    key_memory: Tensor,
    value_memory: Tensor,
) -> Tensor:
    """Attend with one query an answer; where heads share keys, theirs are looked up side by side."""
    n, heads, _, size = query.shape
    wide = query.float().view(n, key.shape[1], -1, size)
    at_once = max(1, most // max(key[0].numel(), value[0].numel()))
    outputs = []
    for first in range(0, n, at_once):
        keys, values = key[first : first + at_once], value[first : first + at_once]
        output = scaled_dot_product_attention(
            wide[first : first + at_once],
            _widen(keys, key_memory),
            _widen(values, value_memory),
            attn_mask=mask[first : first + at_once],
            scale=scale,
        )
        outputs.append(output.reshape(-1, 1, heads, value.shape[3]).to(query.dtype))
    return torch.cat(outputs)


def _widen(narrow: Tensor, memory: Tensor) -> Tensor:
    """Return a copy in float32, in this memory if it is large enough."""
    if narrow.numel() > memory.numel():
        return narrow.float()
    return memory[: narrow.numel()].view(narrow.shape).copy_(narrow)


@cache
def _memories() -> tuple[Tensor, Tensor]:
    """Return memory for keys and for values, used again by each layer. The engine calculates on one thread only."""
    with torch.inference_mode(mode=False):  # whoever comes first decides for nobody else
        return torch.empty(WIDENED_AT_ONCE), torch.empty(WIDENED_AT_ONCE)


def mask_dtype(network: PreTrainedModel) -> torch.dtype:
    """Return what a mask that is added to attention's scores has to be."""
    dtype: torch.dtype = torch.float32 if network.config._attn_implementation == NAME else network.dtype
    return dtype


AttentionInterface.register(NAME, attend_in_float32)
AttentionMaskInterface.register(NAME, sdpa_mask)
