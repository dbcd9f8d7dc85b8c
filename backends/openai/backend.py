"""The plugin: its options, what they must be, and one answer from request to verdict."""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage

from backends.base import BaseChatBackend, ChatRequest, StreamEvent
from backends.exceptions import BackendMisconfigured, ChatBackendError
from backends.openai.answer import Answer, mend_surrogates
from backends.openai.options import OPENAI_HOST, check_options

if TYPE_CHECKING:
    from backends.openai.connection import Connection

USAGE_GRACE = 2.0
"""Seconds that the usage may take after the finish reason: the answer is whole, and somebody waits for its end."""

DRAIN_GRACE = 0.1
"""Seconds for the rest of a body after ``[DONE]``; only a body read to its end leaves its connection to the next."""


GO_ON = (
    "Your last answer was cut off. Go on exactly where it stopped, in the middle of a word if need be. "
    "Do not repeat any of it, and do not comment on this."
)
"""What is asked where a server cannot go on with an assistant's message by itself."""


class OpenAIBackend(BaseChatBackend):
    """Asks a server for chat completions.

    Options:
        model: the name that the server knows; ``ChatRequest.model`` overrides it.
        api_key: may stay empty where the server asks for none.
        base_url: everything before ``/chat/completions``.
        organization: sent as ``OpenAI-Organization``.
        timeout: seconds until the server begins to answer, retries included. From there the site's limits count
            (``backends.guard.Limits``).
        connect_timeout: seconds for one connection to open.
        max_retries: how often a request is sent again that failed before its answer began.
        extra_body: fields added to every request, such as ``{"reasoning_effort": "low"}``; they win over ours.
        headers: HTTP headers added to every request.
        max_output_tokens_field: what the server calls ``ChatRequest.max_output_tokens``. Left empty, it is
            ``max_completion_tokens`` at api.openai.com, where reasoning models refuse the older name, and
            ``max_tokens`` elsewhere, because every compatible server knows that.
        include_usage: ask for token counts; False where the server refuses ``stream_options``.
        continue_final_message: how an answer that was cut is continued. True for servers that go on with an assistant's
            message at the end (vLLM and others take ``continue_final_message``); elsewhere the model is asked to.
    """

    list_models_tells = True

    def __init__(
        self,
        *,
        model: str,
        api_key: str = "",
        base_url: str = f"https://{OPENAI_HOST}/v1",
        organization: str = "",
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        max_retries: int = 2,
        extra_body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        max_output_tokens_field: str = "",
        include_usage: bool = True,
        continue_final_message: bool = False,
    ) -> None:
        self.model = model
        self.api_key = api_key
        self.base_url = base_url
        self.organization = organization
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.max_retries = max_retries
        self.extra_body = dict(extra_body or {})
        self.headers = dict(headers or {})
        self.max_output_tokens_field = max_output_tokens_field
        self.include_usage = include_usage
        self.continue_final_message = continue_final_message
        self._connections: dict[asyncio.AbstractEventLoop, Connection] = {}

    @property
    def sends_data_away(self) -> bool:  # type: ignore[override]
        """Whether ``base_url`` is another machine."""
        return not _is_loopback(self._host)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        """Yield the text, then the ``Finish`` that the server vouched for.

        Only ``stop``, ``length`` and ``content_filter`` finish an answer. A model that wants to call a tool is a
        ``RequestRejected``, because we offer none; another reason, or none, is a ``StreamInterrupted``.
        """
        connection = await self._connect()
        deadline = asyncio.get_running_loop().time() + self.timeout
        response = await connection.open_stream("/chat/completions", self._body(request), deadline)
        answer = Answer()
        # Leaving by whichever door closes the connection, which is how the server learns that nobody listens.
        async with aclosing(response), aclosing(response.aiter_raw()) as chunks:
            while not (answer.finish_reason or answer.is_over):
                for delta in answer.feed(await connection.read(chunks)):
                    yield delta
            await self._read_rest(connection, chunks, answer)
        for event in answer.end():
            yield event

    async def _read_rest(self, connection: Connection, chunks: AsyncIterator[bytes], answer: Answer) -> None:
        """Read the usage, and the body to its end: the verdict stands, whatever comes now."""
        with suppress(ChatBackendError, TimeoutError):
            async with asyncio.timeout(USAGE_GRACE):
                while not answer.is_over:
                    list(answer.feed(await connection.read(chunks)))
            async with asyncio.timeout(DRAIN_GRACE):
                while await connection.read(chunks):
                    pass

    async def list_models(self) -> Sequence[str]:
        """Return what ``GET /models`` lists, in the server's order."""
        connection = await self._connect()
        listed = await connection.get_json("/models", asyncio.get_running_loop().time() + self.timeout)
        models = listed.get("data") if isinstance(listed, dict) else None
        names = [model.get("id") for model in models if isinstance(model, dict)] if isinstance(models, list) else []
        return [name for name in names if isinstance(name, str)]

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the streams that use them end with an error."""
        if connection := self._connections.pop(asyncio.get_running_loop(), None):
            await connection.aclose()

    def check(self) -> list[CheckMessage]:
        """Return E006 (credentials), E007 (``base_url``) and E008 (timeouts and retries)."""
        return check_options(self)

    async def _connect(self) -> Connection:
        """Return the running event loop's connection, made at its first use."""
        loop = asyncio.get_running_loop()
        if loop not in self._connections:
            if wrong := self.check():
                raise BackendMisconfigured(str(wrong[0].msg), hint=wrong[0].hint or "")
            # In a thread, because the SDK takes 0.5-1 s, in which everybody else's answers would stand still.
            module = await asyncio.to_thread(importlib.import_module, "backends.openai.connection")
            for forgotten in [other for other in list(self._connections) if other.is_closed()]:
                self._connections.pop(forgotten, None)  # without aclose(); nobody can close it any more
            if loop not in self._connections:  # another stream may have been quicker
                self._connections[loop] = module.Connection(
                    base_url=self.base_url,
                    api_key=self.api_key,
                    organization=self.organization,
                    connect_timeout=self.connect_timeout,
                    max_retries=self.max_retries,
                    headers=self.headers,
                )
        return self._connections[loop]

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": request.model or self.model,
            "messages": [{"role": each.role, "content": mend_surrogates(each.content)} for each in request.messages],
        }
        if request.messages[-1:] and request.messages[-1].role == "assistant":
            if self.continue_final_message:
                body |= {"continue_final_message": True, "add_generation_prompt": False}
            else:
                body["messages"].append({"role": "user", "content": GO_ON})
        if self.include_usage:
            body["stream_options"] = {"include_usage": True}
        limit = "max_completion_tokens" if self._host == OPENAI_HOST else "max_tokens"
        wishes = {
            "temperature": request.temperature,
            "top_p": request.top_p,
            self.max_output_tokens_field or limit: request.max_output_tokens,
            "stop": list(request.stop) or None,
            "seed": request.seed,
        }
        body.update((name, value) for name, value in wishes.items() if value is not None)
        return body | self.extra_body | {"stream": True}

    @property
    def _host(self) -> str:
        try:
            return urlsplit(self.base_url).hostname or ""
        except (ValueError, AttributeError, TypeError):  # check() says what is wrong with it
            return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
