"""A thread per request with ``generate``: what one writes after reading a tutorial."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from typing import Any

from backends.base import ChatRequest, Finish, StreamEvent, TextDelta, Usage
from bench.engine.ways.loading import encode, load


class ThreadPerRequest:
    """Streams with the asyncio twin of ``TextIteratorStreamer``, which spares it a second thread per reader."""

    def __init__(self, folder: str, device: str, dtype: str) -> None:
        self._model, self._tokenizer = load(folder, device, dtype)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        import torch
        from transformers import AsyncTextIteratorStreamer

        ids = torch.tensor([encode(self._tokenizer, request.messages)], device=self._model.device)
        streamer = AsyncTextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        written: list[int] = []

        def generate() -> None:
            output: Any = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=request.max_output_tokens,
                do_sample=False,
                streamer=streamer,
            )
            written.append(output.shape[1] - ids.shape[1])

        thread = threading.Thread(target=generate)
        thread.start()
        async for text in streamer:
            if text:
                yield TextDelta(text)
        thread.join()
        yield Finish("length", Usage(ids.shape[1], written[0]))

    async def aclose(self) -> None:
        """Do nothing: threads that generate cannot be stopped."""
