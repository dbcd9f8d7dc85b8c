"""Attention in float32 inside a network in bfloat16, for CPUs.

PyTorch's attention kernel for CPUs takes five times as long for a single query in bfloat16 as in float32, since it
widens all keys and values anew for each token (measured: eight answers of 512 tokens, 5.8 against 1.1 ms a layer).
Here they are widened once a layer, a few answers at a time, into memory that stays in the processor's caches: less
than reading them as float32 from the slots would take, which would also have to be twice as large.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "float32_sdpa"
WIDENED_AT_ONCE = 1_000_000
"""Numbers, of keys and of values each: 4 MB, which caches hold. A single answer may have more of them."""


class _Wide:
    """Memory for one tensor in float32, used again by each layer. The engine calculates on one thread only."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def copy_of(self, narrow: torch.Tensor) -> torch.Tensor:
        """Return a copy, which holds until the next call."""
        if self._memory.numel() < narrow.numel():
            with torch.inference_mode(mode=False):  # whoever comes first decides for nobody else
                self._memory = torch.empty(narrow.numel())
        return self._memory[: narrow.numel()].view(narrow.shape).copy_(narrow.detach())


_keys, _values = _Wide(), _Wide()


def attend_in_float32(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Do what transformers' ``sdpa`` does, in float32; the result is in the query's dtype, ``[n, q, heads, size]``."""
    at_once = max(1, WIDENED_AT_ONCE // max(key[0].numel(), value[0].numel()))
    outputs = []
    for first in range(0, len(query), at_once):
        rows = slice(first, first + at_once)
        output, _ = sdpa_attention_forward(
            module,
            query[rows].float(),
            _keys.copy_of(key[rows]),
            _values.copy_of(value[rows]),
            attention_mask if attention_mask is None else attention_mask[rows],
            **options,
        )
        outputs.append(output.to(query.dtype))
    return torch.cat(outputs), None


def mask_dtype(network: PreTrainedModel) -> torch.dtype:
    """Return what a mask that is added to attention's scores has to be."""
    dtype: torch.dtype = torch.float32 if network.config._attn_implementation == NAME else network.dtype
    return dtype


AttentionInterface.register(NAME, attend_in_float32)
AttentionMaskInterface.register(NAME, sdpa_mask)
