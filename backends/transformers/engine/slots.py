"""The memory of all answers: what the model has read and written, as keys and values. Allocated once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin

from backends.exceptions import BackendMisconfigured, BackendUnavailable

Row = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of one answer, a pair a layer, each ``[heads, tokens, head size]``."""


@dataclass(frozen=True, slots=True)
class Window:
    """Where one forward pass writes, and how far it looks."""

    rows: torch.Tensor
    """Slots, ``[n, 1]``, one behind the other from ``first`` on."""
    positions: torch.Tensor
    """Places of the new tokens in their texts, ``[n, q]``."""
    first: int
    span: int
    """Places that are looked at, from the beginning of the text on; all positions are below."""


class SlotLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer of ``Slots``, as transformers' models want their cache.

    ``keys`` and ``values`` are ``[slots, heads, context, head size]``.
    """

    is_sliding = False

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.is_initialized = True
        self._window: Window | None = None
        self._places: torch.Tensor | None = None

    @property
    def heads(self) -> int:
        return int(self.keys.shape[1])

    def open(self, window: Window, places: torch.Tensor) -> None:
        """Let the next pass write at ``places``, counted over slots, heads and context, and look at the window."""
        self._window, self._places = window, places

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Write ``[n, heads, q, head size]``, and return all that the window looks at."""
        window = self._window
        assert window is not None
        for memory, states in ((self.keys, key_states), (self.values, value_states)):
            # Ten times as quick for a few tokens as an assignment by three indices.
            lines = states.transpose(1, 2).reshape(-1, states.shape[-1]).to(memory.dtype)
            memory.view(-1, memory.shape[-1]).index_copy_(0, self._places, lines)
        seen = slice(window.first, window.first + window.rows.shape[0]), slice(None), slice(window.span)
        return self.keys[seen], self.values[seen]

    # The models are told positions and mask, and need none of these.
    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        pass

    def get_seq_length(self) -> int:
        return 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._window.span if self._window else query_length, 0

    def get_max_length(self) -> int:
        return int(self.keys.shape[-2])


class Slots:
    """A number of rows, each with room for a whole context.

    Making them takes all the memory that answers will ever need, so that it runs out now or never.

    Raises:
        BackendUnavailable: there is not so much memory.
        BackendMisconfigured: the model keeps something else than keys and values of all tokens.
    """

    def __init__(self, network: PreTrainedModel, *, count: int, context: int) -> None:
        self.count = count
        self.context = context
        shapes = _shapes(network)
        try:
            self._layers = [
                SlotLayer(*(torch.zeros(count, heads, context, size, **kind) for heads, size in pair))
                for pair, kind in shapes
            ]
        except (torch.OutOfMemoryError, RuntimeError) as error:
            raise BackendUnavailable(
                f"There is no memory for {count} answers of {context} tokens beside the model.",
                hint="Use fewer 'slots', a smaller 'context_window', or dtype='bfloat16'.",
            ) from error
        self.cache = Cache(layers=self._layers)
        self._rows = torch.arange(count, device=network.device).unsqueeze(1)

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for layer in self._layers for tensor in (layer.keys, layer.values))

    @property
    def token_bytes(self) -> int:
        """What one token of one answer takes."""
        return self.bytes // (self.count * self.context)

    def window(self, first: int, positions: torch.Tensor, span: int) -> Window:
        return Window(self._rows[first : first + positions.shape[0]], positions, first, span)

    def open(self, window: Window) -> Cache:
        """Return the cache of which the next forward pass reads and writes this window."""
        places = {heads: self._places(window, heads) for heads in {layer.heads for layer in self._layers}}
        for layer in self._layers:
            layer.open(window, places[layer.heads])
        return self.cache

    def _places(self, window: Window, heads: int) -> torch.Tensor:
        """Return where the tokens go in memory of ``slots * heads * context`` lines, by row, token and head."""
        lines = window.rows.unsqueeze(2) * heads + torch.arange(heads, device=window.rows.device)
        return (lines * self.context + window.positions.unsqueeze(2)).flatten()

    def move(self, source: int, target: int, tokens: int) -> None:
        """Copy the first ``tokens`` of one row into another."""
        for layer in self._layers:
            for tensor in (layer.keys, layer.values):
                tensor[target, :, :tokens] = tensor[source, :, :tokens]

    def swap(self, one: int, other: int, tokens: int) -> None:
        """Exchange the first ``tokens`` of two rows."""
        saved = self.save(one, tokens)
        self.move(other, one, tokens)
        self.restore(saved, other, tokens)

    def clear(self, row: int) -> None:
        """Forget a row for good. Old numbers do no harm unless they are none: nothing times NaN is NaN."""
        for layer in self._layers:
            layer.keys[row].zero_()
            layer.values[row].zero_()

    def save(self, row: int, tokens: int) -> Row:
        """Return a copy of the first ``tokens`` of a row."""
        return [(layer.keys[row, :, :tokens].clone(), layer.values[row, :, :tokens].clone()) for layer in self._layers]

    def restore(self, saved: Row, row: int, tokens: int) -> None:
        """Write the first ``tokens`` of a copy into a row."""
        for layer, (keys, values) in zip(self._layers, saved, strict=True):
            layer.keys[row, :, :tokens] = keys[:, :tokens]
            layer.values[row, :, :tokens] = values[:, :tokens]


def _shapes(network: PreTrainedModel) -> list[tuple[list[tuple[int, int]], dict[str, Any]]]:
    """Return heads and head size of each layer's keys and values, as the model itself makes them."""
    cache = DynamicCache()
    network(input_ids=torch.zeros(1, 2, dtype=torch.long, device=network.device), past_key_values=cache, use_cache=True)
    layers = [(layer.keys, layer.values) for layer in cache.layers]
    if not layers or any(keys is None or keys.shape[-2] != 2 for keys, _ in layers):
        raise BackendMisconfigured(
            f"{type(network).__name__} does not keep keys and values of all tokens, as this engine needs it.",
            hint="Serve such a model with vLLM or the like, and use the OpenAI backend for it.",
        )
    kind = {"dtype": layers[0][0].dtype, "device": layers[0][0].device}
    return [([(tensor.shape[1], tensor.shape[3]) for tensor in pair], kind) for pair in layers]
