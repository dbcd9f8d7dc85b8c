"""The least that Django can do: an asynchronous view that streams, without middleware, sessions or a database."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

from bench.streaming.pace import Order, paced

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="bench", ALLOWED_HOSTS=["*"], MIDDLEWARE=[], LOGGING_CONFIG=None)

_client: Any = None


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    return _respond(paced(Order.parse(request.GET["order"])))


async def stream_openai(request: HttpRequest) -> StreamingHttpResponse:
    return _respond(_ask(request.GET["order"]))


def _respond(pieces: AsyncIterator[str]) -> StreamingHttpResponse:
    return StreamingHttpResponse(_as_events(pieces), content_type="text/event-stream")


async def _as_events(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    async for piece in pieces:
        yield f"data: {json.dumps({'text': piece})}\n\n"
    yield "event: done\ndata: {}\n\n"


async def _ask(content: str) -> AsyncIterator[str]:
    global _client
    if _client is None:
        import openai  # takes 35 MB, which are not those of the view without it

        _client = openai.AsyncOpenAI(base_url=os.environ["BENCH_UPSTREAM"], api_key="none")
    messages = [{"role": "user", "content": content}]
    chunks = await _client.chat.completions.create(model="bench", messages=messages, stream=True)
    async for chunk in chunks:
        if chunk.choices and (text := chunk.choices[0].delta.content):
            yield text


urlpatterns = [path("stream", stream), path("openai", stream_openai)]
application = get_asgi_application()
