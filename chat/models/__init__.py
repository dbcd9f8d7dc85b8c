"""What the site keeps: people, assistants, conversations as trees of messages, and how each answer came to be."""

from chat.models.assistants import Assistant
from chat.models.audit import AuditEntry, AuditHead
from chat.models.conversations import Conversation, Message, Role
from chat.models.generations import DraftPiece, Generation, Status
from chat.models.people import User
from chat.models.quotas import Metric, Period, Quota, QuotaCounter, Reservation
from chat.models.switches import Drain
from chat.models.usage import UsageRecord
from chat.querysets import AppendOnlyError

__all__ = [
    "AppendOnlyError",
    "Assistant",
    "AuditEntry",
    "AuditHead",
    "Conversation",
    "DraftPiece",
    "Drain",
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
