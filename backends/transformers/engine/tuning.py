"""Making a model quick on a CPU, without changing what it says.

Weights laid out as the processor's matrix kernels want them, an activation within those kernels instead of eight of its
own, and attention in float32 make a step several times quicker (docs/engine.md). Each change is checked against the
model as it was, and taken back if the numbers differ.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.activations import NewGELUActivation
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP
from transformers.pytorch_utils import Conv1D

from backends.transformers.engine import attention
from backends.transformers.engine.probes import is_close, probe
from backends.transformers.engine.scripts import scripted_in_traces

logger = logging.getLogger(__name__)

Change = Callable[[PreTrainedModel, ExitStack], bool]
"""Changes a network, notes in the stack how to take it back, and tells whether there was anything to change."""


class PackedLinear(nn.Module):  # type: ignore[misc]
    """A linear layer whose weights lie as oneDNN's kernels read them; plain layers are laid out anew at every call."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ops.mkldnn._reorder_linear_weight(weight, 1), persistent=False)
        self.bias = bias
        self.out_features, self.in_features = weight.shape
        self.activation = "none", ""
        """What is done with the sums before they leave the kernel, in its words: a function and its kind."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = _multiply(x, self.weight, self.bias, *self.activation)
        return output


@scripted_in_traces
def _multiply(x: Tensor, weight: Tensor, bias: Tensor | None, function: str, kind: str) -> Tensor:
    no_numbers = torch.jit.annotate(list[int | float | complex | None], [])
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, function, no_numbers, kind)


class CentredHead(nn.Module):  # type: ignore[misc]
    """The layer that makes logits, for a network in half precision, with what all logits share kept apart in float32.

    Logits often share a large part (GPT-2's lie around -100), beside which bfloat16 has no digits left for what tells
    tokens apart: half a unit is its smallest step there. Without the mean of all rows they are small, and have them.
    """

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        weight = head.weight.detach().float()
        mean = weight.mean(dim=0)
        self.linear = nn.Linear(head.in_features, head.out_features, bias=False, device="meta")
        self.linear.weight = nn.Parameter((weight - mean).to(head.weight.dtype), requires_grad=False)
        self.mean = nn.Parameter(mean, requires_grad=False)
        self.bias = None if head.bias is None else nn.Parameter(head.bias.detach().float(), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits in float32."""
        logits: torch.Tensor = self.linear(x).float() + (x.float() @ self.mean).unsqueeze(-1)
        return logits if self.bias is None else logits + self.bias


def best_cpu_dtype() -> torch.dtype:
    """Return bfloat16 where the processor calculates with it, float32 elsewhere."""
    has_bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has_bfloat16 else torch.float32


def tune(network: PreTrainedModel) -> tuple[str, ...]:
    """Change what can be quicker on this network's device; return the names of the changes that were kept."""
    changes: dict[str, Change] = {"fused GELU": fuse_gelu}
    if network.device.type == "cpu":
        changes |= {
            "packed weights": pack_weights,
            "GELU in packed weights": join_gelu,
            "float32 attention": widen_attention,
        }
    return tuple(name for name, change in changes.items() if _is_kept(network, name, change))


def keep_digits_of_logits(network: PreTrainedModel) -> None:
    """Let a network in half precision make logits that can be told apart."""
    head = network.get_output_embeddings()
    if isinstance(head, nn.Linear) and head.weight.dtype in {torch.float16, torch.bfloat16}:
        network.set_output_embeddings(CentredHead(head))


def fuse_gelu(network: PreTrainedModel, undo: ExitStack) -> bool:
    """Calculate GPT-2's activation in one kernel instead of eight."""
    return _replace(network, lambda module: nn.GELU("tanh") if isinstance(module, NewGELUActivation) else None, undo)


def pack_weights(network: PreTrainedModel, undo: ExitStack) -> bool:
    """Lay out the weights of all linear layers for the processor, once."""

    def packed(module: nn.Module) -> nn.Module | None:
        parts = _weight_and_bias(module)
        return PackedLinear(*parts) if parts else None

    return _replace(network, packed, undo)


def join_gelu(network: PreTrainedModel, undo: ExitStack) -> bool:
    """Let GPT-2's packed layers calculate the activation that follows them, while the numbers are at hand."""
    blocks = [
        block
        for block in network.modules()
        if isinstance(block, GPT2MLP) and isinstance(block.act, nn.GELU) and isinstance(block.c_fc, PackedLinear)
    ]
    for block in blocks:
        undo.callback(setattr, block, "act", block.act)
        undo.callback(setattr, block.c_fc, "activation", block.c_fc.activation)
        block.c_fc.activation = "gelu", block.act.approximate
        block.act = nn.Identity()
    return bool(blocks)


def widen_attention(network: PreTrainedModel, undo: ExitStack) -> bool:
    """Let a network in half precision attend in float32."""
    before = network.config._attn_implementation
    if network.dtype == torch.float32 or before != "sdpa":
        return False
    undo.callback(network.set_attn_implementation, before)
    network.set_attn_implementation(attention.NAME)
    return True


def _is_kept(network: PreTrainedModel, name: str, change: Change) -> bool:
    """Make a change and tell whether it stays: it can be had here, and the logits are what they were."""
    before = _logits(network)
    with ExitStack() as undo:
        try:
            if change(network, undo) and is_close(before, _logits(network), network.dtype):
                undo.pop_all()
                return True
        except (RuntimeError, AttributeError, NotImplementedError) as error:
            # These kernels are PyTorch's inner ones: another version or processor may lack them.
            logger.info("%s: not to be had here: %s", name, error)
    return False


def _weight_and_bias(module: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None] | None:
    """Return the weight, [outputs, inputs], and the bias of a linear layer; None for other modules."""
    if type(module) is nn.Linear:
        return module.weight.detach(), None if module.bias is None else module.bias.detach()
    if type(module) is Conv1D:  # GPT-2's name for a linear layer with its weight the other way round
        return module.weight.detach().t().contiguous(), module.bias.detach()
    return None


def _replace(network: PreTrainedModel, replacement: Callable[[nn.Module], nn.Module | None], undo: ExitStack) -> bool:
    found = False
    for parent, name, module in list(_children(network)):
        if (new := replacement(module)) is not None:
            found = True
            undo.callback(setattr, parent, name, module)
            setattr(parent, name, new)
    return found


def _children(network: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    for parent in network.modules():
        for name, module in parent.named_children():
            yield parent, name, module


def _logits(network: PreTrainedModel) -> torch.Tensor:
    logits: torch.Tensor = network(input_ids=probe(network), use_cache=False).logits[0].float()
    return logits
