"""The backend of local models."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from importlib.util import find_spec
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error

from backends.base import BaseChatBackend, ChatRequest, StreamEvent
from backends.transformers.client import EngineClient
from backends.transformers.fetch import is_path
from backends.transformers.protocol import EngineOptions, GenerateRequest

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
DTYPES = ("auto", "float32", "float16", "bfloat16")


class TransformersBackend(BaseChatBackend):
    """Answers from a causal language model on this machine, in a process of its own that the first request starts.

    ``model`` is a folder or a name on the Hugging Face hub (``python manage.py fetch_model NAME`` brings it here;
    nothing is ever downloaded for a request). Only safetensors are read, and no code that comes with a model is run.

    Each model that is asked for by ``ChatRequest.model`` has a process of its own too.
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
        repetition_penalty: float = 1.0,
        threads: int | None = None,
        load_timeout: float = 300,
        idle_unload: float | None = None,
    ) -> None:
        self.model = fspath(model)
        self._is_path = not isinstance(model, str) or is_path(model)
        self._engine_options = EngineOptions(
            model=fspath(Path(model).absolute()) if self._is_path and self.model[:1] != "~" else self.model,
            revision=revision,
            device=device,
            dtype=dtype,
            context_window=context_window,
            threads=threads,
        )
        self._max_output_tokens = max_output_tokens
        self._temperature = temperature
        self._top_p = top_p
        self._repetition_penalty = repetition_penalty
        self._load_timeout = load_timeout
        self._idle_unload = idle_unload
        self._lock = threading.Lock()
        self._clients: dict[str, EngineClient] = {}

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        generate = self._complete(request)
        generate.validate()
        async with aclosing(self.client(request.model).stream(generate)) as events:
            async for event in events:
                yield event

    async def list_models(self) -> Sequence[str]:
        return (self.model,)

    async def status(self) -> dict[str, Any]:
        """Return the state of the configured model's engine: ``state``, and its figures once it is ready."""
        return await self.client().status()

    async def aclose(self) -> None:
        with self._lock:
            clients = list(self._clients.values())
        await asyncio.gather(*(asyncio.to_thread(client.stop) for client in clients))

    def client(self, model: str = "") -> EngineClient:
        """Return the connection to the engine of this model, the configured one by default; starts nothing."""
        options = self._engine_options
        if model and model != self.model:
            options = replace(options, model=model, revision=None)
        with self._lock:
            if options.model not in self._clients:
                self._clients[options.model] = EngineClient(
                    options, load_timeout=self._load_timeout, idle_unload=self._idle_unload
                )
            return self._clients[options.model]

    def check(self) -> list[CheckMessage]:
        found: list[CheckMessage] = []
        if not DEVICE.fullmatch(self._engine_options.device):
            hint = "Use 'auto', 'cpu', 'cuda', 'cuda:1', … or 'mps'."
            found.append(self._error(f"has an unknown device {self._engine_options.device!r}.", hint, "backends.E009"))
        if self._engine_options.dtype not in DTYPES:
            hint = f"Use one of {', '.join(map(repr, DTYPES))}."
            found.append(self._error(f"has an unknown dtype {self._engine_options.dtype!r}.", hint, "backends.E009"))
        if not self.model:
            found.append(self._error("has an empty model.", "Name a folder or a model of the hub.", "backends.E010"))
        elif self._is_path and not Path(self._engine_options.model).expanduser().is_dir():
            hint = "The model is a folder with config.json and model.safetensors, or a name such as 'gpt2'."
            found.append(self._error(f"has a model that is no folder: {self.model}.", hint, "backends.E011"))
        if missing := [name for name in ("torch", "transformers") if find_spec(name) is None]:
            hint = "Install the site with its local models: pip install -r requirements.txt."
            found.append(
                self._error(f"needs packages that are not installed: {', '.join(missing)}.", hint, "backends.E012")
            )
        return found

    def _error(self, message: str, hint: str, check_id: str) -> Error:
        return Error(f"The backend {self.alias or type(self).__name__} {message}", hint=hint, id=check_id)

    def _complete(self, request: ChatRequest) -> GenerateRequest:
        """Return the request with the backend's options where it leaves the choice."""
        return GenerateRequest(
            messages=request.messages,
            temperature=self._temperature if request.temperature is None else request.temperature,
            top_p=self._top_p if request.top_p is None else request.top_p,
            repetition_penalty=self._repetition_penalty,
            max_output_tokens=(
                self._max_output_tokens if request.max_output_tokens is None else request.max_output_tokens
            ),
            stop=request.stop,
            seed=request.seed,
        )
