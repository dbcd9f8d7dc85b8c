"""A Hugging Face tokenizer as dialogues and answers use it. Imported by the engine process alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from jinja2 import TemplateError
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from backends.base import ChatMessage
from backends.exceptions import BackendMisconfigured
from backends.transformers.engine.dialogue import TemplateRefused

WORD_JOINER = "\u2060"
"""Invisible, of no width, and not a space, so that nothing splits or trims there."""


class ChatTokenizer:
    """The ``DialogueTokenizer`` of a model.

    Special here means: the tokenizer says so, or the chat template writes it (some models' turn marks are ordinary
    added tokens).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.is_fast:
            raise BackendMisconfigured(
                "The model has no tokenizer.json.", hint="Choose a model whose tokenizer is in that format."
            )
        self._tokenizer = tokenizer
        self.backend: Tokenizer = tokenizer.backend_tokenizer
        template = tokenizer.get_chat_template() if tokenizer.chat_template else ""
        self.has_template = bool(template)
        self._special = {
            token.content: id_
            for id_, token in tokenizer.added_tokens_decoder.items()
            if token.special or (token.content in template and not token.content.isspace())
        }
        self._special_ids = frozenset(self._special.values())

    @property
    def eos_id(self) -> int | None:
        eos: int | None = self._tokenizer.eos_token_id
        return eos

    def render(self, messages: Sequence[ChatMessage]) -> str:
        try:
            text: str = self._tokenizer.apply_chat_template(
                [asdict(message) for message in messages], tokenize=False, add_generation_prompt=True
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise TemplateRefused(str(error)) from error
        return text

    def encode_markup(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return ids

    def encode_text(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(
            self._defuse(text, only_ordinary=True), add_special_tokens=False, split_special_tokens=True, verbose=False
        )
        return [id_ for id_ in ids if id_ not in self._special_ids]

    def holds_special(self, text: str) -> bool:
        return not self._special_ids.isdisjoint(self.encode_markup(text))

    def defuse(self, text: str) -> str:
        return self._defuse(text, only_ordinary=False)

    def start(self) -> list[int]:
        bos = self._tokenizer.bos_token_id
        ids: list[int] = self._tokenizer.encode("")
        return [bos] if bos in ids[:1] else []

    def _defuse(self, text: str, *, only_ordinary: bool) -> str:
        # split_special_tokens leaves out special tokens, but not ordinary added ones.
        special = set(self._tokenizer.all_special_tokens) if only_ordinary else ()
        for name in self._special:
            if name in text and name not in special:
                text = text.replace(name, f"{name[0]}{WORD_JOINER}{name[1:]}")
        return text
