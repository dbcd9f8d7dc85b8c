"""How fast a decode step could be at best: all weights and all past keys and values are read once."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
POSITIONS = re.compile(r"(^|\.)(wpe|embed_positions)\.weight$")
EMBEDDING = re.compile(r"(^|\.)(wte|embed_tokens|embed_in)\.weight$")
HEAD = re.compile(r"(^|\.)(lm_head|embed_out)\.weight$")


def bytes_of(dtype: str) -> float:
    """Return the size of a number of this kind, 0 if the kind is unknown."""
    return BYTES.get(dtype.removeprefix("torch."), 0.0)


def read_shapes(folder: Path) -> dict[str, list[int]]:
    """Return the shape of every tensor in a folder's safetensors files; only their heads are read."""
    shapes: dict[str, list[int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        shapes |= {name: tensor["shape"] for name, tensor in head.items() if name != "__metadata__"}
    return shapes


def weights_per_step(shapes: Mapping[str, list[int]]) -> int:
    """Return how many numbers a step reads: the whole head, but only rows of embeddings that are not the head too."""
    has_head = any(HEAD.search(name) for name in shapes)
    return sum(
        math.prod(shape)
        for name, shape in shapes.items()
        if not POSITIONS.search(name) and not (has_head and EMBEDDING.search(name))
    )


def values_per_token(config: Mapping[str, Any]) -> int:
    """Return how many keys and values a token leaves behind."""
    layers = config.get("n_layer") or config["num_hidden_layers"]
    heads = config.get("n_head") or config["num_attention_heads"]
    width = config.get("n_embd") or config["hidden_size"]
    size = config.get("head_dim") or width // heads
    return int(2 * layers * (config.get("num_key_value_heads") or heads) * size)


def floor_ms(
    *, weights: int, values: int, bytes_per_weight: float, streams: int, context: float, bytes_per_s: float
) -> float:
    """Return the milliseconds that reading takes for a step of ``streams``, each with ``context`` tokens behind it."""
    past = values * streams * context * bytes_per_weight
    return (weights * bytes_per_weight + past) / bytes_per_s * 1000
