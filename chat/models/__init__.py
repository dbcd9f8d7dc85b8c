"""What the site keeps: people, assistants, conversations as trees of messages, how each answer came to be, feedback."""

from chat.models.assistants import Assistant
from chat.models.audit import AuditEntry, AuditHead
from chat.models.banners import Audience, Banner, BannerDismissal, Level
from chat.models.conversations import Conversation, Message, Role, TitleFrom
from chat.models.feedback import REASONS, Feedback, Rating, Reason
from chat.models.folders import Colour, Folder
from chat.models.generations import DraftPiece, Generation, Status
from chat.models.moderation import ModeratedKind, ModerationAction, ModerationFlag, ModerationRule
from chat.models.people import User
from chat.models.quotas import Metric, Period, Quota, QuotaCounter, Reservation
from chat.models.retention import PERSONAL, Kept, LegalHold, PurgeRun, RetentionRule
from chat.models.sharing import Share, SharedMessage
from chat.models.switches import Drain
from chat.models.transfers import ImportBatch, ImportedConversation
from chat.models.usage import UsageRecord
from chat.querysets import AppendOnlyError

__all__ = [
    "PERSONAL",
    "REASONS",
    "AppendOnlyError",
    "Assistant",
    "Audience",
    "AuditEntry",
    "AuditHead",
    "Banner",
    "BannerDismissal",
    "Colour",
    "Conversation",
    "DraftPiece",
    "Drain",
    "Feedback",
    "Folder",
    "Generation",
    "ImportBatch",
    "ImportedConversation",
    "Kept",
    "LegalHold",
    "Level",
    "Message",
    "Metric",
    "ModeratedKind",
    "ModerationAction",
    "ModerationFlag",
    "ModerationRule",
    "Period",
    "PurgeRun",
    "Quota",
    "QuotaCounter",
    "Rating",
    "Reason",
    "Reservation",
    "RetentionRule",
    "Role",
    "Share",
    "SharedMessage",
    "Status",
    "TitleFrom",
    "UsageRecord",
    "User",
]
