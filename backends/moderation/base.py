"""The contract between the site and whatever looks at what people and models write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from django.core.checks import CheckMessage

Action = Literal["allow", "flag", "refuse"]
Kind = Literal["question", "answer"]


class ModerationError(Exception):
    """The moderator could not look: ``str()`` is a sentence for the log, without any of the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationRequest:
    """A text to look at."""

    text: str
    """A whole question, or a piece of an answer with some of what was before it."""
    kind: Kind = "question"
    user: str = ""
    """Who asks, as an opaque name that says nothing about the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be done with the text."""

    action: Action
    rule: str = ""
    """What was found, for administrators: a rule or a category, and none of the text. At most 200 characters."""
    words: str = ""
    """What people read where it is refused; empty for the site's own words."""

    @property
    def strength(self) -> int:
        return ("allow", "flag", "refuse").index(self.action)


ALLOW = Verdict(action="allow")


class BaseModerator(ABC):
    """Base class of all moderators.

    ``OPTIONS`` in ``settings.CHAT_MODERATION`` become keyword arguments of the constructor, which only remembers them:
    it opens nothing and never fails for a reason outside the process.
    """

    alias: str = ""
    """The key in ``settings.CHAT_MODERATION``; set by the registry."""

    sends_data_away: bool = True
    """Whether texts leave this machine."""

    def refresh(self) -> None:
        """Look whether what is looked for has changed. Called often, in a thread that may read files and the database.

        Raises:
            ModerationError: it cannot be read.
        """

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to look for at the moment: then it is not asked. Calculates nothing, never fails."""
        return False

    @abstractmethod
    async def check(self, request: ModerationRequest) -> Verdict:
        """Return what is to be done with the text.

        It runs on an event loop of moderation's own, beside other checks, and is cancelled when it takes too long.

        Raises:
            ModerationError: it cannot tell; ``ON_FAILURE`` decides then.
        """

    async def aclose(self) -> None:
        """Free what checks share (connections). The moderator can be used again afterwards."""

    def system_check(self) -> list[CheckMessage]:
        """Return what is wrong with the options, without asking anybody outside the process."""
        return []
