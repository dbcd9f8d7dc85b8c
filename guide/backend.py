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
    """Lets the model write, as long as it writes an answer of the corpus that is likely enough, to the letter.

    Which answer it is, is decided by the model's confidence and the question's words. Where the model has begun another
    one or slips in the middle, the rest is taken from the corpus; where none is likely enough, the questions that may
    have been meant are listed.
    """

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        question = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
        is_checked = self._is_checked(request)
        confidence, known, said = 0.0, "", ""
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                if isinstance(event, Confidence):
                    confidence = event.probability
                    continue
                if isinstance(event, TextDelta | Finish) and is_checked:
                    piece = event.text if isinstance(event, TextDelta) else ""
                    # In a thread: the first call reads the corpus.
                    known = known or await asyncio.to_thread(self._known, question, piece, confidence)
                    ends_early = isinstance(event, Finish) and event.reason == "stop" and said != known
                    if ends_early or not known.startswith(said + piece):
                        break
                    said += piece
                yield event
            else:
                return
        yield TextDelta(known.removeprefix(said))
        # The model was stopped before it said what it had read.
        tokens = max(self.certainty.confidence_tokens, len(said.encode()) // BYTES_A_TOKEN)
        yield Finish("stop", Usage(len(question.encode()) // BYTES_A_TOKEN + 1, tokens))

    @cached_property
    def certainty(self) -> Certainty:
        """The line of the checkpoint."""
        return load_certainty(Path(self.engine_options.model))

    def _known(self, question: str, beginning: str, confidence: float) -> str:
        """Return what is to be said, whole."""
        best = guess(question, beginning, confidence)
        return best.text if self.certainty.suffices(best) else unsure_answer(question)

    def _is_checked(self, request: ChatRequest) -> bool:
        """Tell whether the answer is to be judged by its beginning; one that goes on was, when it began."""
        is_begun = any(message.role == "assistant" for message in request.messages[-1:])
        return self.certainty.confidence_tokens > 0 and not is_begun

    def _complete(self, request: ChatRequest) -> GenerateRequest:
        tokens = self.certainty.confidence_tokens if self._is_checked(request) else 0
        return replace(super()._complete(request), confidence_tokens=tokens)
