"""Comparing what a model says before and after something was changed."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

PROBE_TOKENS = 16


def probe(network: PreTrainedModel, length: int = PROBE_TOKENS) -> torch.Tensor:
    """Return an arbitrary text that every model knows the tokens of, ``[1, length]``."""
    vocabulary = network.get_input_embeddings().weight.shape[0]
    return (torch.arange(length, device=network.device) * 7919 % vocabulary).unsqueeze(0)


def is_close(one: torch.Tensor, other: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether two sets of logits differ by no more than rounding in another order makes.

    Compared is the mean square of the difference with the logits' spread. Half precision leaves some hundredths of it;
    a wrong position, mask or weight leaves more than all of it.
    """
    one, other = one.float(), other.float()
    share = (one - other).square().mean().sqrt() / one.std().clamp(min=1e-6)
    return bool(share <= (0.2 if dtype in {torch.float16, torch.bfloat16} else 0.005))
