"""From token ids to text, while they come. Imported by the engine process alone."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from backends.transformers.engine.stops import StopFilter

REPLACEMENT = "\ufffd"
MOST_HELD_TOKENS = 8
"""A character has four bytes at most, so more tokens than that without one are no beginning of anything."""


class Detokenizer:
    """Whole characters out of tokens that may hold parts of them.

    ``DecodeStream`` keeps tokens until they make valid text. Two gaps of its are closed here: what it keeps at the end
    is lost, and bytes that never become valid silence it for good. Bytes that are no character are left out: a
    replacement character would tell a reader nothing.
    """

    def __init__(self, tokenizer: Tokenizer, begun: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._held: list[int] = []
        self._context = list(begun[-1:])  # the last token that was shown: some decoders treat a first token differently
        self._stream = DecodeStream(ids=self._context, skip_special_tokens=True)

    def push(self, token: int) -> str:
        """Return the text that this token completes; often empty."""
        self._held.append(token)
        text = self._stream.step(self._tokenizer, token)
        if text is None:
            return self.flush() if len(self._held) >= MOST_HELD_TOKENS else ""
        self._context, self._held = [token], []
        return text.replace(REPLACEMENT, "")

    def flush(self) -> str:
        """Return the whole characters among the tokens held back, and forget these."""
        if not self._held:
            return ""
        before = self._decode(self._context)
        text = self._decode([*self._context, *self._held])[len(before) :]
        self._held = []
        self._stream = DecodeStream(ids=self._context, skip_special_tokens=True)
        return text.replace(REPLACEMENT, "")

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text


class AnswerText:
    """The visible text of one answer: detokenised, ended before stop strings, its leading space left out if asked."""

    def __init__(
        self, tokenizer: Tokenizer, stops: Sequence[str], *, strip_start: bool, begun: Sequence[int] = ()
    ) -> None:
        self._detokenizer = Detokenizer(tokenizer, begun)
        self._filter = StopFilter(stops)
        self._strip_start = strip_start

    @property
    def stopped(self) -> bool:
        return self._filter.stopped

    def push(self, token: int) -> str:
        """Return what can be shown after this token; often empty."""
        return self._show(self._detokenizer.push(token))

    def finish(self) -> str:
        """Return all that was still held back, at the end of the answer."""
        text = self._show(self._detokenizer.flush())
        return text if self.stopped else text + self._filter.flush()

    def _show(self, text: str) -> str:
        if self._strip_start:
            text = text.lstrip()
            self._strip_start = not text
        return self._filter.feed(text)
