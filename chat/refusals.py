"""Why something that people asked for is not done; ``chat.views.common`` has the words and the HTTP statuses."""

from __future__ import annotations

from datetime import datetime


class RefusedError(Exception):
    """What was asked for is not done, and nothing of it is stored."""

    def __init__(self, *args: object, resets_at: datetime | None = None) -> None:
        super().__init__(*args)
        self.resets_at = resets_at
        """When it is no longer refused, where that is known; people are told."""


class ConversationBusyError(RefusedError):
    """An answer is being written at this place of the conversation, or another request was quicker."""


class ConversationGoneError(RefusedError):
    """The conversation was deleted meanwhile."""


class MessageGoneError(RefusedError):
    """The message was deleted meanwhile."""


class AssistantGoneError(RefusedError):
    """The assistant was deleted meanwhile."""


class KeyReusedError(RefusedError):
    """The key of a message was used before, for another text or in another conversation."""


class NotContinuableError(RefusedError):
    """The answer was not cut, has no text to go on from, or is not the newest of the shown branch."""


class DrainedError(RefusedError):
    """The backend takes no new answers for the moment; ``str()`` is what an administrator says about it, or empty."""


class CoolingOffError(RefusedError):
    """The backend failed several times in a row and is left alone until ``resets_at``."""


class ModeratedError(RefusedError):
    """The rules of the site do not let this text be sent; ``str()`` is what its writer reads."""


class QuotaExceededError(RefusedError):
    """Nothing is left of what this person may use; ``str()`` names the rule."""


class TooManyUnfinishedError(RefusedError):
    """This person has as many unfinished answers as anybody may have."""


class SiteBusyError(TooManyUnfinishedError):
    """The site has as many unfinished answers as it may have."""


class FolderGoneError(RefusedError):
    """The folder was deleted meanwhile."""
