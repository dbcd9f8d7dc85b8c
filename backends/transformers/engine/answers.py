"""One answer while it is written."""

from __future__ import annotations

import random
from dataclasses import dataclass

from backends.base import FinishReason, Usage
from backends.transformers.engine.decoding import AnswerText
from backends.transformers.engine.dialogue import Prompt
from backends.transformers.engine.model import LoadedModel
from backends.transformers.engine.sampling import Choice, Chosen
from backends.transformers.protocol import GenerateRequest

Key = tuple[int, int]
"""The connection that asks, and its number for the request."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one token added to an answer."""

    text: str = ""
    confidence: float | None = None
    """Set once, with or before the first text, where the request asks for it."""
    finish: FinishReason | None = None
    usage: Usage | None = None


class Answer:
    """A request with its prompt, the slot that holds what was read, and the text that follows.

    ``tokens`` is the prompt and what was written; the slot holds the first ``filled`` of them.
    """

    def __init__(self, key: Key, request: GenerateRequest, prompt: Prompt, model: LoadedModel) -> None:
        self.key = key
        self.user = request.user or f"connection {key[0]}"
        self.tokens = list(prompt.token_ids)
        self.filled = 0
        self.row = -1
        self.joined = 0
        """Which one it was to begin to write."""
        self.choice = Choice(
            temperature=request.temperature,
            top_p=request.top_p,
            top_k=request.top_k,
            repetition_penalty=request.repetition_penalty,
            numbers=random.Random(request.seed),  # noqa: S311 - for style, not for secrets
            wants_probability=request.confidence_tokens > 0,
        )
        self._model = model
        self._input_tokens = len(self.tokens)
        self._most_tokens = min(self._input_tokens + request.max_output_tokens, model.context)
        self._text = AnswerText(
            model.tokenizer.backend,
            (*prompt.stops, *request.stop),
            strip_start=prompt.strip_start,
            begun=prompt.begun,
        )
        self._confidence = 1.0
        self._confidence_tokens = request.confidence_tokens
        self._held = ""

    @property
    def unread(self) -> int:
        """How many tokens the slot lacks; 1 for an answer that is being written."""
        return len(self.tokens) - self.filled

    def take(self, chosen: Chosen) -> Progress:
        """Go on with this token; the answer is over once ``finish`` is set."""
        self.tokens.append(chosen.token)
        self._confidence *= chosen.probability
        if chosen.token in self._model.eos_ids:
            return self._finish("stop", "")
        text = self._text.push(chosen.token)
        if self._text.stopped:
            return self._finish("stop", text)
        if len(self.tokens) >= self._most_tokens:
            return self._finish("length", text)
        return self._show(text)

    def _finish(self, reason: FinishReason, text: str) -> Progress:
        text += self._text.finish()
        if self._text.stopped:  # a stop string may come to light among what was held back
            reason = "stop"
        shown = self._show(text, is_last=True)
        usage = Usage(self._input_tokens, len(self.tokens) - self._input_tokens)
        return Progress(shown.text, shown.confidence, reason, usage)

    def _show(self, text: str, *, is_last: bool = False) -> Progress:
        if not self._confidence_tokens:
            return Progress(text)
        self._held += text
        if not is_last and len(self.tokens) - self._input_tokens < self._confidence_tokens:
            return Progress()
        self._confidence_tokens = 0
        return Progress(self._held, self._confidence)
