"""The backend of the built-in guide: a local model that says so when it is unsure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from backends.base import ChatRequest, Finish, StreamEvent, TextDelta, Usage
from backends.transformers.backend import TransformersBackend
from backends.transformers.events import Confidence
from backends.transformers.protocol import GenerateRequest
from guide.certainty import Certainty, load_certainty
from guide.nearest import is_plausible, unsure_answer

BYTES_A_TOKEN = 4
"""Of a question, in the guide's own tokens, about."""


class GuideBackend(TransformersBackend):
    """Answers as the model does where it is sure and the answer belongs to one of the nearest questions.

    Elsewhere it lists the questions that may have been meant.
    """

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        question = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
        async with aclosing(super().stream(request)) as events:
            is_begun = False
            async for event in events:
                if isinstance(event, Confidence):
                    if not self.certainty.suffices(event.probability):
                        break
                    continue
                if isinstance(event, TextDelta) and not is_begun:
                    # In a thread: the first call reads the corpus.
                    if not await asyncio.to_thread(is_plausible, question, event.text):
                        break
                    is_begun = True
                yield event
            else:
                return
        yield TextDelta(await asyncio.to_thread(unsure_answer, question))
        # The model was stopped before it said what it had read.
        yield Finish("stop", Usage(len(question.encode()) // BYTES_A_TOKEN + 1, self.certainty.confidence_tokens))

    @cached_property
    def certainty(self) -> Certainty:
        """The line of the checkpoint."""
        return load_certainty(Path(self.engine_options.model))

    def _complete(self, request: ChatRequest) -> GenerateRequest:
        return replace(super()._complete(request), confidence_tokens=self.certainty.confidence_tokens)
