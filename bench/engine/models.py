"""A model folder with random weights: speed does not ask what the numbers mean, and the hub may be far away."""

from __future__ import annotations

import itertools
import os
import shutil
import string
import tempfile
from pathlib import Path
from typing import Any

VERSION = 1
"""Raise it when a folder made earlier should not be used again."""

CACHE = Path(tempfile.gettempdir()) / "chatsite-bench"
END = "<|endoftext|>"
SHAPES: dict[str, dict[str, int]] = {
    "gpt2": {},  # GPT2Config's defaults are GPT-2 124M
    "tiny": {"vocab_size": 4096, "n_embd": 256, "n_layer": 4, "n_head": 4},
}


def make_model(shape: str) -> Path:
    """Return a folder with a model of this shape, made by an earlier run or now."""
    folder = CACHE / f"{shape}-v{VERSION}"
    if not folder.is_dir():
        CACHE.mkdir(exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{shape}-", dir=CACHE))
        _save(SHAPES[shape], unfinished)
        try:
            unfinished.rename(folder)
        except OSError:  # another run was faster
            shutil.rmtree(unfinished)
    return folder


def _save(shape: dict[str, int], folder: Path) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    vocabulary = GPT2Config(**shape).vocab_size
    end = vocabulary - 1
    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=end, eos_token_id=end))
    # Of logits that scatter around zero the greatest is never one that is always zero: greedy answers have only whole
    # words, one a token, and no end. So all ways write texts of the same length.
    with torch.no_grad():
        model.transformer.wte.weight[: len(_alphabet())] = 0
        model.transformer.wte.weight[end] = 0
    model.save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_make_tokenizer(vocabulary), bos_token=END, eos_token=END, clean_up_tokenization_spaces=False
    )
    tokenizer.save_pretrained(folder)


def _make_tokenizer(vocabulary: int) -> Any:
    """Return a byte-level BPE tokenizer for which every " ab" and most of " abc" are one token."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    space = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(" ")[0][0]
    letters = string.ascii_lowercase + string.ascii_uppercase
    tokens = _alphabet()
    room = vocabulary - len(tokens) - 1
    words = ("".join(word) for size in (1, 2, 3) for word in itertools.product(letters, repeat=size))
    merges = []
    for word in itertools.islice(words, room):
        tokens.append(space + word)
        merges.append((space + word[:-1], word[-1]))
    vocab = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END, special=True, normalized=False)])
    assert tokenizer.token_to_id(END) == vocabulary - 1
    return tokenizer


def _alphabet() -> list[str]:
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def prepare_offline() -> None:
    """Keep transformers, not yet imported, from asking the hub: a folder is all that is ever loaded here."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
