"""One answer while it is written. Imported by the engine process alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import DynamicCache

from backends.base import FinishReason, Usage
from backends.transformers.decoding import AnswerText
from backends.transformers.dialogue import build_prompt
from backends.transformers.model import LoadedModel
from backends.transformers.protocol import GenerateRequest
from backends.transformers.sampling import Sampler

PREFILL_TOKENS = 256
"""Tokens of a prompt read in one step, so that neither a cancel nor the other answers wait for a long prompt."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step added to an answer."""

    text: str = ""
    finish: FinishReason | None = None
    usage: Usage | None = None


class Answer:
    """A prompt, what the model remembers of it, and the text that follows.

    Making one tokenises the prompt. Each ``step`` is one forward pass over one row: a piece of the prompt, or the
    newest token. The keys and values (``cache``) are the answer's own and go with it.

    Raises:
        ContextLengthExceeded, BackendMisconfigured: see ``build_prompt``.
    """

    def __init__(self, model: LoadedModel, request: GenerateRequest) -> None:
        prompt = build_prompt(
            model.tokenizer, request.messages, context=model.context, max_output_tokens=request.max_output_tokens
        )
        self._model = model
        self._cache = DynamicCache(config=model.network.config)
        self._unread = torch.tensor([prompt.token_ids], device=model.device)
        """Tokens that the model has not seen yet, [1, n]: the prompt's rest, then the newest token."""
        self._input_tokens = len(prompt.token_ids)
        self._output_tokens = 0
        self._most_output_tokens = min(request.max_output_tokens, model.context - self._input_tokens)
        self._text = AnswerText(model.tokenizer.backend, (*prompt.stops, *request.stop), strip_start=prompt.strip_start)
        self._sampler = _sampler(model, request)
        self._sampler.remember(self._unread[0])

    def step(self) -> Progress:
        """Read or write on, and return what came of it; the answer is over once ``finish`` is set.

        Raises:
            BackendUnavailable: the model calculated nonsense.
        """
        now, self._unread = self._unread[:, :PREFILL_TOKENS], self._unread[:, PREFILL_TOKENS:]
        logits = self._forward(now)
        if self._unread.shape[1]:
            return Progress()
        token = self._sampler.choose(logits)
        self._unread = torch.tensor([[token]], device=self._model.device)
        self._output_tokens += 1
        if token in self._model.eos_ids:
            return self._finish("stop", "")
        text = self._text.push(token)
        if self._text.stopped:
            return self._finish("stop", text)
        if self._output_tokens >= self._most_output_tokens:
            return self._finish("length", text)
        return Progress(text)

    def _forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits after the last of these tokens ([vocabulary]); the cache holds them all afterwards."""
        extra = {"logits_to_keep": 1} if self._model.keeps_logits else {}
        output = self._model.network(input_ids=tokens, past_key_values=self._cache, use_cache=True, **extra)
        logits: torch.Tensor = output.logits[0, -1]
        return logits

    def _finish(self, reason: FinishReason, text: str) -> Progress:
        text += self._text.finish()
        if self._text.stopped:  # a stop string may come to light among what was held back
            reason = "stop"
        return Progress(text, reason, Usage(self._input_tokens, self._output_tokens))


def _sampler(model: LoadedModel, request: GenerateRequest) -> Sampler:
    generator = torch.Generator()
    if request.seed is None:
        generator.seed()
    else:
        generator.manual_seed(request.seed % 2**63)  # any integer is a seed; PyTorch takes 64 bits
    penalises = request.repetition_penalty != 1
    return Sampler(
        temperature=request.temperature,
        top_p=request.top_p,
        repetition_penalty=request.repetition_penalty,
        generator=generator,
        seen=torch.zeros(model.vocabulary, dtype=torch.bool, device=model.device) if penalises else None,
    )
