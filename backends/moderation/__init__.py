"""Moderation: what looks at questions and answers, and may have them refused. Contract, registry, two moderators.

``moderators`` has those that ``settings.CHAT_MODERATION`` names.
"""

from __future__ import annotations

from backends.moderation.base import (
    ALLOW,
    BaseModerator,
    ModerationError,
    ModerationRequest,
    Verdict,
)
from backends.moderation.registry import Entry, moderators

__all__ = ["ALLOW", "BaseModerator", "Entry", "ModerationError", "ModerationRequest", "Verdict", "moderators"]
