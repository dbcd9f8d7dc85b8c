"""The backend of local models."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage

from backends.base import BaseChatBackend, ChatRequest, StreamEvent
from backends.transformers.checks import check_model, check_options, check_place
from backends.transformers.client import EngineClient
from backends.transformers.fetch import is_path
from backends.transformers.launch import NoService
from backends.transformers.place import configured_place
from backends.transformers.protocol import EngineOptions, GenerateRequest, encode_options

SLOTS = 16


class TransformersBackend(BaseChatBackend):
    """Answers from a causal language model, which an engine process of the engine service runs.

    ``model`` is a folder or a name on the Hugging Face hub (``python manage.py fetch_model NAME`` brings it here;
    nothing is ever downloaded for a request). Only safetensors are read, and no code that comes with a model is run.

    The engine service is at ``engine``, by default at ``settings.CHAT_ENGINE_ADDRESS``; where it does not run, the
    first request starts it. Each model that is asked for by ``ChatRequest.model`` has an engine of its own too.
    """

    sends_data_away = False

    def __init__(
        self,
        *,
        model: str | PathLike[str],
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        context_window: int | None = None,
        max_output_tokens: int = 512,
        temperature: float = 0.8,
        top_p: float = 0.95,
        top_k: int = 0,
        repetition_penalty: float = 1.0,
        threads: int | None = None,
        slots: int | None = None,
        max_waiting: int = 64,
        prefix_cache_mb: int = 256,
        load_timeout: float = 300,
        idle_unload: float | None = None,
        engine: str = "",
    ) -> None:
        self.model = fspath(model)
        self._is_path = not isinstance(model, str) or is_path(model)
        self.engine_options = EngineOptions(
            model=fspath(Path(model).absolute()) if self._is_path and self.model[:1] != "~" else self.model,
            revision=revision,
            device=device,
            dtype=dtype,
            context_window=context_window,
            threads=threads,
            slots=SLOTS if slots is None else slots,
            max_waiting=max_waiting,
            prefix_cache_mb=prefix_cache_mb,
            load_timeout=load_timeout,
            idle_unload=idle_unload,
        )
        self._max_output_tokens = max_output_tokens
        self._temperature = temperature
        self._top_p = top_p
        self._top_k = top_k
        self._repetition_penalty = repetition_penalty
        self.engine_address = engine
        self._lock = threading.Lock()
        self._client: EngineClient | None = None

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        generate = self._complete(request)
        generate.validate()
        async with aclosing(self.client.stream(self.engine_key(request.model), generate)) as events:
            async for event in events:
                yield event

    async def list_models(self) -> Sequence[str]:
        return (self.model,)

    async def status(self) -> dict[str, Any]:
        """Return the ``state`` of the configured model's engine, and its figures while it runs. Starts nothing."""
        try:
            figures = await self.client.status()
        except NoService:
            return {"state": "absent"}
        key = self.engine_key()
        return next((engine for engine in figures["engines"] if engine["engine"] == key), {"state": "absent"})

    async def aclose(self) -> None:
        if self._client:
            await asyncio.to_thread(self._client.close)

    @property
    def client(self) -> EngineClient:
        """The connection to the engine service; made here, and opened by the first request."""
        with self._lock:
            if self._client is None:
                self._client = EngineClient(configured_place(self.engine_address))
            return self._client

    def engine_key(self, model: str = "") -> str:
        """Return the name by which the service knows the engine of this model, the configured one by default."""
        options = self.engine_options
        if model and model != self.model:
            options = replace(options, model=model, revision=None)
        return encode_options(options)

    def check(self) -> list[CheckMessage]:
        name = self.alias or type(self).__name__
        return [
            *check_options(name, self.engine_options, self._complete(ChatRequest(messages=()))),
            *check_model(name, self.model, self.engine_options.model if self._is_path else None),
            *check_place(name, configured_place(self.engine_address)),
        ]

    def _complete(self, request: ChatRequest) -> GenerateRequest:
        """Return the request with the backend's options where it leaves the choice."""
        return GenerateRequest(
            messages=request.messages,
            temperature=self._temperature if request.temperature is None else request.temperature,
            top_p=self._top_p if request.top_p is None else request.top_p,
            top_k=self._top_k,
            repetition_penalty=self._repetition_penalty,
            max_output_tokens=(
                self._max_output_tokens if request.max_output_tokens is None else request.max_output_tokens
            ),
            stop=request.stop,
            seed=request.seed,
            user=request.user,
        )
