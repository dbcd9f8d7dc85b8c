"""What the site keeps: people, assistants, conversations as trees of messages, and how each answer came to be."""

from chat.models.assistants import Assistant
from chat.models.conversations import Conversation, Message, Role
from chat.models.generations import DraftPiece, Generation, Status
from chat.models.people import User

__all__ = ["Assistant", "Conversation", "DraftPiece", "Generation", "Message", "Role", "Status", "User"]
