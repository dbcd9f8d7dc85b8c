"""Models in the web process, for the ways that have them there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backends.base import ChatMessage
from bench.engine.models import prepare_offline
from bench.engine.prompts import plain


def load(folder: str, device: str, dtype: str) -> tuple[Any, Any]:
    """Return the model and its tokenizer as the documentation of transformers loads them."""
    prepare_offline()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).to(device).eval()
    # An answer ends when it has its tokens: all ways have to write the same number.
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model, AutoTokenizer.from_pretrained(folder)


def encode(tokenizer: Any, messages: Sequence[ChatMessage]) -> list[int]:
    if tokenizer.chat_template:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    return list(tokenizer(plain(list(messages)))["input_ids"])
