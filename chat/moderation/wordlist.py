"""The word list of the admin: a moderator whose rules administrators write there."""

from __future__ import annotations

from backends.moderation import BaseModerator, ModerationRequest, Verdict
from backends.moderation.words import Compiled, Rule, compile_rules
from chat.models import ModerationRule
from chat.remembered import Remembered


def rule_of(row: ModerationRule) -> Rule:
    """Return the row as the word list takes it."""
    return Rule(
        pattern=row.pattern,
        is_regex=row.is_regex,
        action="refuse" if row.action == "refuse" else "flag",
        name=row.name,
        words=row.words,
    )


def _load() -> Compiled:
    return compile_rules(rule_of(row) for row in ModerationRule.objects.filter(is_active=True))


_compiled = Remembered(_load)
_compiled.made_of(ModerationRule)


class AdminWordListModerator(BaseModerator):
    """Looks for what the active moderation rules of the admin name."""

    sends_data_away = False

    def __init__(self) -> None:
        self._compiled = Compiled(())

    def refresh(self) -> None:
        """Take the rules as they are now; a query once in a while."""
        self._compiled = _compiled.get()

    @property
    def is_idle(self) -> bool:
        return not self._compiled.rules

    async def check(self, request: ModerationRequest) -> Verdict:
        return self._compiled.search(request.text)
