"""A list of words and patterns, from a file. Searching takes time in proportion to the text, whatever they are."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error

from backends.moderation.base import ALLOW, Action, BaseModerator, ModerationError, ModerationRequest, Verdict

_WITHOUT_SPACES = r"[\p{Hangul}\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]"
"""Scripts in which a word is not set apart from what is joined to it: such words are found within others."""
_MOST_MEMORY = 8 << 20
"""Bytes that one pattern may take: repetitions of repetitions are refused, and not expanded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Something to look for, and what to do where it is found."""

    pattern: str
    is_regex: bool = False
    action: Action = "flag"
    name: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Compiled:
    """Rules, ready to be searched by."""

    rules: tuple[tuple[Any, Verdict], ...]

    def search(self, text: str) -> Verdict:
        """Return the strongest verdict of the rules that are found in the text."""
        text = unicodedata.normalize("NFC", text)
        strongest = ALLOW
        for pattern, verdict in self.rules:
            if verdict.strength > strongest.strength and pattern.search(text):
                strongest = verdict
        return strongest


def compile_rules(rules: Iterable[Rule]) -> Compiled:
    """Return the rules, ready to be searched by.

    Raises:
        ValueError: a pattern is no regular expression of RE2, takes too much memory, or is found in every text.
    """
    return Compiled(tuple((_compiled(rule), _verdict(rule)) for rule in rules))


def _verdict(rule: Rule) -> Verdict:
    return Verdict(action=rule.action, rule=(rule.name or rule.pattern)[:200], words=rule.words)


def _compiled(rule: Rule) -> Any:
    # A few milliseconds that a site without word lists need not spend.
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.case_sensitive = False
    options.log_errors = False
    pattern = unicodedata.normalize("NFC", rule.pattern)
    try:
        found = re2.compile(pattern if rule.is_regex else _as_word(re2, pattern), options)
    except re2.error as error:
        raise ValueError(f"{rule.pattern!r} cannot be used: {_reason(error)}") from error
    if found.search(""):
        raise ValueError(f"{rule.pattern!r} would be found in every text.")
    return found


def _as_word(re2: Any, pattern: str) -> str:
    words = r"\s+".join(re2.escape(word) for word in pattern.split())
    if re2.search(_WITHOUT_SPACES, pattern):
        return words
    return rf"(?:^|[^\p{{L}}\p{{N}}_]){words}(?:$|[^\p{{L}}\p{{N}}_])" if words else ""


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def read_rules(text: str) -> list[Rule]:
    """Return the rules of a file: ``flag`` or ``refuse`` and then a word, or a pattern between slashes, one a line.

    Empty lines and those that begin with ``#`` are left out.

    Raises:
        ValueError: a line is none of these; it is named by its number.
    """
    rules = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        action, _, pattern = line.strip().partition(" ")
        pattern = pattern.strip()
        if action not in ("flag", "refuse") or not pattern:
            raise ValueError(f"line {number} does not begin with flag or refuse, and then a word")
        is_regex = len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/")
        rule = Rule(
            pattern=pattern[1:-1] if is_regex else pattern,
            is_regex=is_regex,
            action="refuse" if action == "refuse" else "flag",
            name=f"line {number}",
        )
        try:
            compile_rules([rule])
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        rules.append(rule)
    return rules


class WordListModerator(BaseModerator):
    """Looks for the words and patterns of a file; a change of it is seen at the next check."""

    sends_data_away = False

    def __init__(self, *, file: str) -> None:
        self.file = Path(file)
        self._lock = threading.Lock()
        self._read_at: tuple[int, int] | None = None
        self._compiled = Compiled(())

    def refresh(self) -> None:
        """Read the file again if it is another one."""
        try:
            found = self.file.stat()
            with self._lock:
                now = (found.st_mtime_ns, found.st_size)
                if now != self._read_at:
                    self._compiled = compile_rules(read_rules(self.file.read_text(encoding="utf-8")))
                    self._read_at = now
        except (OSError, ValueError) as error:
            raise ModerationError(f"The word list {self.file} cannot be used: {error}") from error

    @property
    def is_idle(self) -> bool:
        return not self._compiled.rules

    async def check(self, request: ModerationRequest) -> Verdict:
        return self._compiled.search(request.text)

    def system_check(self) -> list[CheckMessage]:
        try:
            self.refresh()
        except ModerationError as error:
            hint = "docs/moderation.md says how the file looks."
            return [Error(str(error), hint=hint, id="backends.E023")]
        return []
