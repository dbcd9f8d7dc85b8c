"""Models of a few hundred thousand random weights, and tokenizers for them, made anew in a folder of the test's."""

from __future__ import annotations

import json
from pathlib import Path

CORPUS = [
    "Hello there, how are you today? Tell me a long story about the sea.",
    "User: What is it?\nAssistant: It is a chat site.\nUser: Thank you.\nAssistant: You are welcome.",
    "안녕하세요 👋🏽 반갑습니다. 오늘 날씨가 좋네요. 👩‍👩‍👧‍👦 🇰🇷",
    "def main():\n    print('hello')\n",
]

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def make_tokenizer(*, template: str = "", vocabulary: int = 300):
    """Return a byte-level BPE tokenizer that knows little more than the 256 bytes, so that most characters are cut."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", *(["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"] if template else [])]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    eos = special[-1]
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=special[0], eos_token=eos)
    if template:
        fast.add_special_tokens({"additional_special_tokens": special[1:]})
        fast.chat_template = template
    return fast


def make_gpt2(folder: Path, *, context: int = 256, template: str = "", seed: int = 1) -> Path:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = make_tokenizer(template=template)
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=context,
        n_embd=64,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.3,  # spread logits: no ties, and no answer of one token over and over
    )
    return _save(GPT2LMHeadModel(config), tokenizer, folder)


def make_llama(folder: Path, *, context: int = 256, seed: int = 2) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer(template=TEMPLATE)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=context,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=[0, tokenizer.eos_token_id],
        initializer_range=0.3,
    )
    return _save(LlamaForCausalLM(config), tokenizer, folder)


_SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.3}
_GATED = {**_SMALL, "intermediate_size": 128, "num_key_value_heads": 2, "head_dim": 16}

ARCHITECTURES: dict[str, dict[str, object]] = {
    "gemma2": {**_GATED, "query_pre_attn_scalar": 16},
    "gpt_neox": {**_SMALL, "intermediate_size": 128},
    "mistral": _GATED,
    "opt": {**_SMALL, "ffn_dim": 128, "word_embed_proj_dim": 64, "init_std": 0.3},
    "qwen2": _GATED,
    "qwen3": _GATED,
    "smollm3": _GATED,
}
"""Architectures that the engine runs, besides GPT-2 and Llama, with figures for very small ones."""


def make_model(folder: Path, architecture: str, *, context: int = 256, seed: int = 3) -> Path:
    """Save a model of random weights of this architecture, and a tokenizer, in the folder."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        architecture,
        vocab_size=len(tokenizer),
        max_position_embeddings=context,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        **ARCHITECTURES.get(architecture, _SMALL),
    )
    with torch.inference_mode(mode=False):
        return _save(AutoModelForCausalLM.from_config(config), tokenizer, folder)


def write_broken_numbers(folder: Path) -> None:
    """Make all weights of a saved model NaN."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: weight.fill_(float("nan")) for name, weight in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )


def set_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _save(model, tokenizer, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
