"""What the site keeps: people, assistants, conversations as trees of messages, and how each answer came to be."""

from chat.models.assistants import Assistant
from chat.models.conversations import Conversation, Message, Role
from chat.models.generations import DraftPiece, Generation, Status
from chat.models.people import User
from chat.models.sharing import Share, SharedMessage
from chat.models.transfers import ImportBatch, ImportedConversation

__all__ = [
    "Assistant",
    "Conversation",
    "DraftPiece",
    "Generation",
    "ImportBatch",
    "ImportedConversation",
    "Message",
    "Role",
    "Share",
    "SharedMessage",
    "Status",
    "User",
]
