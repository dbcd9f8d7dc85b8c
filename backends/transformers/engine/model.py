"""Loading a model and its tokenizer. Imported by the engine process alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig, PreTrainedModel

from backends.exceptions import BackendMisconfigured
from backends.transformers.engine.tokens import ChatTokenizer
from backends.transformers.engine.tuning import best_cpu_dtype, keep_digits_of_logits, tune
from backends.transformers.protocol import EngineOptions

UNKNOWN_CONTEXT = 2048
"""Tokens, for a model whose configuration sets no limit."""
UNLIMITED = 2**31


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to be asked."""

    network: PreTrainedModel
    tokenizer: ChatTokenizer
    eos_ids: frozenset[int]
    context: int
    """Tokens that prompt and answer may have together."""
    vocabulary: int
    """Length of a row of logits."""
    dtype: str
    """What it calculates with, as the option is spelt."""
    tuning: tuple[str, ...] = ()
    """What was changed to make it quicker."""

    @property
    def device(self) -> torch.device:
        device: torch.device = self.network.device
        return device


def load_model(
    folder: Path, options: EngineOptions, device: torch.device, tell: Callable[[float], None] = lambda progress: None
) -> LoadedModel:
    """Return the model in this folder, on this device, as quick as it can be made; tell how much is loaded (0 to 1).

    Raises:
        BackendMisconfigured: the files or the options cannot be used.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    transformers.logging.set_tqdm_hook(lambda bar, args, kwargs: _counted(*args, tell=tell) or bar(*args, **kwargs))
    from_here = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **from_here)
        network, report = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=_choose_dtype(options.dtype, device, config),
            use_safetensors=True,
            output_loading_info=True,
            **from_here,
        )
        tokenizer = ChatTokenizer(AutoTokenizer.from_pretrained(folder, **from_here))
    except (OSError, ValueError, KeyError, TypeError, ImportError, SafetensorError) as error:
        raise BackendMisconfigured(f"{options.model!r} cannot be loaded: {_summary(error)}") from error
    if report["missing_keys"] or config.is_encoder_decoder:
        raise BackendMisconfigured(
            f"{options.model!r} is no complete causal language model "
            f"({type(network).__name__}, {len(report['missing_keys'])} of its weights missing)."
        )
    network = network.to(device).eval().requires_grad_(requires_grad=False)
    vocabulary = network.get_output_embeddings().weight.shape[0]
    keep_digits_of_logits(network)
    return LoadedModel(
        network=network,
        tokenizer=tokenizer,
        eos_ids=_eos_ids(network, tokenizer),
        context=_context(config, options),
        vocabulary=vocabulary,
        dtype=str(network.dtype).removeprefix("torch."),
        tuning=tune(network),
    )


def choose_device(name: str) -> torch.device:
    """Return the named device; for ``auto``, CUDA where there is one.

    Raises:
        BackendMisconfigured: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BackendMisconfigured(
            f"The device {name!r} was asked for, and PyTorch sees {torch.cuda.device_count()} CUDA devices.",
            hint="Use device='auto' or 'cpu', or install the driver and a PyTorch build for CUDA.",
        )
    return device


def _choose_dtype(name: str, device: torch.device, config: PretrainedConfig) -> torch.dtype:
    """Return the named dtype; for ``auto``, a half precision wherever the device calculates with it."""
    if name != "auto":
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    if device.type == "cpu":
        return best_cpu_dtype()
    stored = getattr(config, "dtype", None)
    if stored in {torch.float16, torch.bfloat16}:
        return stored
    has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bfloat16 else torch.float16


def _eos_ids(network: PreTrainedModel, tokenizer: ChatTokenizer) -> frozenset[int]:
    ids = {tokenizer.eos_id}
    for config in (network.generation_config, network.config):
        eos = getattr(config, "eos_token_id", None)
        ids.update(eos if isinstance(eos, list) else [eos])
    return frozenset(id_ for id_ in ids if id_ is not None)


def _context(config: PretrainedConfig, options: EngineOptions) -> int:
    """Return how many tokens prompt and answer may have together.

    Where layers look back over a window only, no more than that: within it they are like any other.
    """
    text = config.get_text_config(decoder=True)
    limits = [getattr(text, "max_position_embeddings", None) or UNKNOWN_CONTEXT]
    window = getattr(text, "sliding_window", None)
    kinds = getattr(text, "layer_types", None)
    if window and (kinds is None or "sliding_attention" in kinds) and getattr(text, "use_sliding_window", True):
        limits.append(window)
    return min(*limits, options.context_window or UNLIMITED)


def _counted(items: Any = (), *, tell: Callable[[float], None]) -> Iterator[Any] | None:
    """Return an iterator over the items that tells what share of them is done; None where they cannot be counted."""
    if not (hasattr(items, "__len__") and len(items)):
        return None

    def counted() -> Iterator[Any]:
        for number, item in enumerate(items, start=1):
            yield item
            tell(number / len(items))

    return counted()


def _summary(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
