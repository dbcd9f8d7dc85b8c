"""The continuous batching that transformers brings, with its loop in a thread of the web process."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncGenerator
from typing import Any

from backends.base import ChatRequest, Finish, StreamEvent, TextDelta, Usage
from bench.engine.ways.loading import encode, load

PAGE = 256


class ContinuousBatching:
    """Decodes with ``DecodeStream``: token by token, as the documentation has it, letters of many bytes break."""

    def __init__(self, folder: str, device: str, dtype: str, *, slots: int, longest: int) -> None:
        self._model, self._tokenizer = load(folder, device, dtype)
        self._ids = itertools.count()
        # By default the cache takes 60 % of a machine's memory, and 80 to 90 % of a GPU's. This much is enough for so
        # many streams of this length and the one long prompt, with the fifth free that the scheduler wants to see.
        self._manager: Any = self._start(blocks=slots * math.ceil(longest / PAGE) * 3 // 2 + 8)

    def _start(self, blocks: int) -> Any:
        from transformers import ContinuousBatchingConfig

        manager = self._model.init_continuous_batching(
            generation_config=self._model.generation_config,
            continuous_batching_config=ContinuousBatchingConfig(page_size=PAGE, num_blocks=blocks),
        )
        if self._model.device.type == "cuda":
            manager.warmup()  # captures its graphs, if it has any
        manager.start()
        return manager

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        from tokenizers.decoders import DecodeStream

        name = f"stream{next(self._ids)}"
        ids = encode(self._tokenizer, request.messages)
        outputs: asyncio.Queue[Any] = asyncio.Queue()
        self._manager.register_result_handler(name, outputs.put_nowait)
        self._manager.add_request(
            ids, request_id=name, max_new_tokens=request.max_output_tokens, streaming=True, eos_token_id=-1
        )
        decoder = DecodeStream(skip_special_tokens=True)
        seen = 0
        is_over = False
        try:
            while not is_over:
                output = await outputs.get()
                if output.error:
                    raise RuntimeError(f"Continuous batching failed: {output.error}")
                is_over = output.is_finished()
                pieces = [
                    decoder.step(self._tokenizer.backend_tokenizer, id_) for id_ in output.generated_tokens[seen:]
                ]
                seen = len(output.generated_tokens)
                if text := "".join(filter(None, pieces)):
                    yield TextDelta(text)
            yield Finish("length", Usage(len(ids), seen))
        finally:
            if not is_over:
                self._manager.cancel_request(name)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._manager.stop, block=True, timeout=20, hard_stop=True)
