"""What the site keeps: people, assistants, conversations as trees of messages, how each answer came to be, feedback."""

from chat.models.assistants import Assistant
from chat.models.audit import AuditEntry, AuditHead
from chat.models.conversations import Conversation, Message, Role, TitleFrom
from chat.models.feedback import REASONS, Feedback, Rating, Reason
from chat.models.folders import Colour, Folder
from chat.models.generations import DraftPiece, Generation, Status
from chat.models.operation import BackendState, Worker
from chat.models.people import User
from chat.models.quotas import Metric, Period, Quota, QuotaCounter, Reservation
from chat.models.sharing import Share, SharedMessage
from chat.models.switches import Drain
from chat.models.transfers import ImportBatch, ImportedConversation
from chat.models.usage import UsageRecord
from chat.querysets import AppendOnlyError

__all__ = [
    "REASONS",
    "AppendOnlyError",
    "Assistant",
    "AuditEntry",
    "AuditHead",
    "BackendState",
    "Colour",
    "Conversation",
    "DraftPiece",
    "Drain",
    "Feedback",
    "Folder",
    "Generation",
    "ImportBatch",
    "ImportedConversation",
    "Message",
    "Metric",
    "Period",
    "Quota",
    "QuotaCounter",
    "Rating",
    "Reason",
    "Reservation",
    "Role",
    "Share",
    "SharedMessage",
    "Status",
    "TitleFrom",
    "UsageRecord",
    "User",
    "Worker",
]
