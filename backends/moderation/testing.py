"""The contract as tests: subclass ``ModeratorConformance`` in your test suite and say how to make your moderator.

::

    class TestShouting(ModeratorConformance):
        flagged = "STOP SHOUTING"

        def make_moderator(self):
            return ShoutingModerator()
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from backends.moderation.base import BaseModerator, ModerationError, ModerationRequest, Verdict

T = TypeVar("T")


class ModeratorConformance:
    """What every moderator promises."""

    allowed = "Good morning."
    """A text in which nothing is found."""
    flagged = ""
    """A text that is flagged or refused."""
    timeout = 10.0
    """Seconds that one test may take."""

    def make_moderator(self) -> BaseModerator:
        """Return a moderator that works."""
        raise NotImplementedError

    def make_broken_moderator(self) -> BaseModerator | None:
        """Return one that cannot look (nobody listens, no such file, …); None where that cannot be."""
        return None

    def test_it_allows(self) -> None:
        assert self._check(self.allowed).action == "allow"

    def test_it_finds(self) -> None:
        verdict = self._check(self.flagged)
        assert verdict.action in {"flag", "refuse"}
        assert 0 < len(verdict.rule) <= 200, "a verdict says what was found"

    def test_it_does_not_quote_the_text(self) -> None:
        verdict = self._check(f"{self.flagged} 7f3a-secret")
        assert "7f3a-secret" not in verdict.rule + verdict.words

    def test_it_looks_at_answers_too(self) -> None:
        assert self._check(self.flagged, kind="answer").action in {"allow", "flag", "refuse"}

    def test_any_text(self) -> None:
        for text in ("", " ", "안녕하세요 👋🏽", "\u0000\ufffd", "a" * 100_000, "(" * 5_000, "\n" * 5_000):
            assert isinstance(self._check(text), Verdict)

    def test_long_texts_take_no_long_time(self) -> None:
        text = f"{'a' * 50_000} {'ab' * 25_000} {self.flagged}"
        began = time.monotonic()
        self._check(text)
        assert time.monotonic() - began < 2

    def test_many_at_once(self) -> None:
        async def many(moderator: BaseModerator) -> list[Verdict]:
            texts = [self.allowed, self.flagged] * 5
            return list(await asyncio.gather(*(moderator.check(ModerationRequest(text=text)) for text in texts)))

        moderator = self._made()
        verdicts = self._run(self._closing(moderator, many(moderator)))
        assert [verdict.action != "allow" for verdict in verdicts] == [False, True] * 5

    def test_is_usable_from_another_event_loop(self) -> None:
        moderator = self._made()
        for _ in range(2):
            request = ModerationRequest(text=self.flagged)
            assert self._run(self._closing(moderator, moderator.check(request))).action != "allow"

    def test_failures_are_moderation_errors(self) -> None:
        moderator = self.make_broken_moderator()
        if moderator is None:
            return
        text, said = f"{self.flagged} 7f3a-secret", ""
        try:
            moderator.refresh()
            self._run(self._closing(moderator, moderator.check(ModerationRequest(text=text))))
        except ModerationError as error:
            said = str(error)
        assert said, "it raises ModerationError, which says what went wrong"
        assert "7f3a-secret" not in said, "and nothing of the text"

    def _check(self, text: str, **values: Any) -> Verdict:
        moderator = self._made()
        return self._run(self._closing(moderator, moderator.check(ModerationRequest(text=text, **values))))

    def _made(self) -> BaseModerator:
        moderator = self.make_moderator()
        moderator.refresh()
        return moderator

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(asyncio.wait_for(work, self.timeout))

    async def _closing(self, moderator: BaseModerator, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        finally:
            await moderator.aclose()
