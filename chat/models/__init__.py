"""What the site keeps: people, assistants, conversations as trees of messages, how each answer came to be, feedback."""

from chat.models.assistants import Assistant
from chat.models.conversations import Conversation, Message, Role, TitleFrom
from chat.models.feedback import REASONS, Feedback, Rating, Reason
from chat.models.folders import Colour, Folder
from chat.models.generations import DraftPiece, Generation, Status
from chat.models.people import User
from chat.models.sharing import Share, SharedMessage
from chat.models.transfers import ImportBatch, ImportedConversation

__all__ = [
    "REASONS",
    "Assistant",
    "Colour",
    "Conversation",
    "DraftPiece",
    "Feedback",
    "Folder",
    "Generation",
    "ImportBatch",
    "ImportedConversation",
    "Message",
    "Rating",
    "Reason",
    "Role",
    "Share",
    "SharedMessage",
    "Status",
    "TitleFrom",
    "User",
]
