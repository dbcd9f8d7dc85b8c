"""What the site keeps: people, assistants, conversations as trees of messages, and how each answer came to be."""

from chat.models.assistants import Assistant
from chat.models.conversations import Conversation, Message, Role
from chat.models.generations import DraftPiece, Generation, Status
from chat.models.people import User
from chat.models.quotas import Metric, Period, Quota, QuotaCounter, Reservation
from chat.models.usage import AppendOnlyError, UsageRecord

__all__ = [
    "AppendOnlyError",
    "Assistant",
    "Conversation",
    "DraftPiece",
    "Generation",
    "Message",
    "Metric",
    "Period",
    "Quota",
    "QuotaCounter",
    "Reservation",
    "Role",
    "Status",
    "UsageRecord",
    "User",
]
