"""Chat backends: the contract, the registry and the plugins.

``chat_backends.stream("alias", request)`` is all that the rest of the site knows of a model.
"""

from __future__ import annotations

from backends.base import (
    BaseChatBackend,
    ChatMessage,
    ChatRequest,
    Finish,
    FinishReason,
    Role,
    Stage,
    StageName,
    StreamEvent,
    TextDelta,
    Usage,
)
from backends.registry import InvalidChatBackend, chat_backends

__all__ = [
    "BaseChatBackend",
    "ChatMessage",
    "ChatRequest",
    "Finish",
    "FinishReason",
    "InvalidChatBackend",
    "Role",
    "Stage",
    "StageName",
    "StreamEvent",
    "TextDelta",
    "Usage",
    "chat_backends",
]
