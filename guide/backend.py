"""The backend of the built-in guide: a local model that is checked by a look-up, and says so when it is unsure."""

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
from guide.certainty import Certainty, guess, load_certainty
from guide.nearest import unsure_answer

BYTES_A_TOKEN = 4
"""Of a question, in the guide's own tokens, about."""


class GuideBackend(TransformersBackend):
    """Answers as the model does where the answer is likely enough, by the model's confidence and the question's words.

    Elsewhere it gives the answer that is likelier, or lists the questions that may have been meant.
    """

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        question = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
        confidence, instead = 0.0, ""
        async with aclosing(super().stream(request)) as events:
            is_decided = not self._is_checked(request)
            async for event in events:
                if isinstance(event, Confidence):
                    confidence = event.probability
                    continue
                if isinstance(event, TextDelta) and not is_decided:
                    # In a thread: the first call reads the corpus.
                    instead = await asyncio.to_thread(self._instead, question, event.text, confidence)
                    if instead:
                        break
                    is_decided = True
                yield event
        if instead:
            yield TextDelta(instead)
            # The model was stopped before it said what it had read.
            yield Finish("stop", Usage(len(question.encode()) // BYTES_A_TOKEN + 1, self.certainty.confidence_tokens))

    @cached_property
    def certainty(self) -> Certainty:
        """The line of the checkpoint."""
        return load_certainty(Path(self.engine_options.model))

    def _instead(self, question: str, beginning: str, confidence: float) -> str:
        """Return what to say in place of the model's answer; empty where that is to be given."""
        best = guess(question, beginning, confidence)
        if not self.certainty.suffices(best):
            return unsure_answer(question)
        return "" if best.is_models else best.text

    def _is_checked(self, request: ChatRequest) -> bool:
        """Tell whether the answer is to be judged by its beginning; one that goes on was, when it began."""
        is_begun = any(message.role == "assistant" for message in request.messages[-1:])
        return self.certainty.confidence_tokens > 0 and not is_begun

    def _complete(self, request: ChatRequest) -> GenerateRequest:
        tokens = self.certainty.confidence_tokens if self._is_checked(request) else 0
        return replace(super()._complete(request), confidence_tokens=tokens)
