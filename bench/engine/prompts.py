"""What the readers ask, by its length in tokens."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from backends.base import ChatMessage, ChatRequest
from bench.engine.plan import Sizes


class Prompts:
    """Makes up messages out of words of a tokenizer's vocabulary. No two are alike: no cache may know one already."""

    def __init__(self, folder: str, seed: str) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self._random = random.Random(seed)
        words = (token[1:] for token in self._tokenizer.get_vocab() if token[:1] in ("Ġ", "▁"))
        self._words = sorted(word for word in words if word.isascii() and word.isalpha() and len(word) > 1)

    def words(self, count: int) -> str:
        return " ".join(self._random.choices(self._words, k=count))

    def message(self, tokens: int) -> str:
        """Return a message that makes a prompt of about this many tokens, in the plain format."""
        words = self.words(tokens).split()
        excess = self._count(" ".join(words)) - tokens
        while excess > 0:
            # One word is one token or more, so that this never takes too many away.
            words = words[: -max(1, excess // 4)]
            excess = self._count(" ".join(words)) - tokens
        return " ".join(words)

    def request(self, tokens: int, max_output_tokens: int) -> ChatRequest:
        """Return a request of somebody whom nobody knows yet."""
        message = ChatMessage("user", self.message(tokens))
        return ask((message,), max_output_tokens, user=f"reader{self._random.getrandbits(32):x}")

    def requests(self, count: int, sizes: Sizes, *, tokens: int | None = None) -> list[ChatRequest]:
        shortest, longest = sizes.prompt
        spread = [shortest + (longest - shortest) * number // max(1, count - 1) for number in range(count)]
        self._random.shuffle(spread)
        return [self.request(length, tokens or sizes.tokens) for length in spread]

    def _count(self, content: str) -> int:
        return len(self._tokenizer.encode(plain([ChatMessage("user", content)])).ids)


def ask(messages: tuple[ChatMessage, ...], max_output_tokens: int, *, user: str = "") -> ChatRequest:
    """Return a request for a greedy answer."""
    return ChatRequest(messages=messages, temperature=0, max_output_tokens=max_output_tokens, user=user)


def plain(messages: list[ChatMessage]) -> str:
    """Return the messages as docs/dialogue.md has them for a model without a chat template."""
    names = {"user": "User", "assistant": "Assistant", "system": "System"}
    return "".join(f"{names[message.role]}: {message.content}\n" for message in messages) + "Assistant:"


def context_of(config: dict[str, Any]) -> int:
    """Return how many tokens a model can read and write together."""
    return int(config.get("n_positions") or config.get("max_position_embeddings") or 1024)
