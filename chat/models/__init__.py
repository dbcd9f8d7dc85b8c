"""What the site keeps: people, assistants, conversations as trees of messages, how each answer came to be, feedback."""

from chat.models.assistants import Assistant
from chat.models.audit import AuditEntry, AuditHead
from chat.models.banners import Audience, Banner, BannerDismissal, Level
from chat.models.conversations import Conversation, Message, Role, TitleFrom
from chat.models.feedback import REASONS, Feedback, Rating, Reason
from chat.models.folders import Colour, Folder
from chat.models.generations import DraftPiece, Generation, Status
from chat.models.moderation import ModeratedKind, ModerationAction, ModerationFlag, ModerationRule
from chat.models.operation import BackendState, Worker
from chat.models.people import User
from chat.models.prices import Price
from chat.models.quotas import Metric, Period, Quota, QuotaCounter, Reservation
from chat.models.rehearsals import (
    Choice,
    Rehearsal,
    RehearsalVote,
    RehearsedAnswer,
    RehearsedQuestion,
    Side,
    Trial,
)
from chat.models.retention import PERSONAL, Kept, LegalHold, PurgeRun, RetentionRule
from chat.models.rollups import FirstTextRollUp, Grain, PersonRollUp, UsageRollUp
from chat.models.sharing import Share, SharedMessage
from chat.models.signup import Invitation, InvitationState, InvitationUse, SignupMode, SignupPolicy
from chat.models.switches import Drain
from chat.models.transfers import ImportBatch, ImportedConversation
from chat.models.usage import Purpose, UsageRecord
from chat.models.versions import AssistantVersion, Authorship, Origin, one_version
from chat.querysets import AppendOnlyError

__all__ = [
    "PERSONAL",
    "REASONS",
    "AppendOnlyError",
    "Assistant",
    "AssistantVersion",
    "Audience",
    "AuditEntry",
    "AuditHead",
    "Authorship",
    "BackendState",
    "Banner",
    "BannerDismissal",
    "Choice",
    "Colour",
    "Conversation",
    "DraftPiece",
    "Drain",
    "Feedback",
    "FirstTextRollUp",
    "Folder",
    "Generation",
    "Grain",
    "ImportBatch",
    "ImportedConversation",
    "Invitation",
    "InvitationState",
    "InvitationUse",
    "Kept",
    "LegalHold",
    "Level",
    "Message",
    "Metric",
    "ModeratedKind",
    "ModerationAction",
    "ModerationFlag",
    "ModerationRule",
    "Origin",
    "Period",
    "PersonRollUp",
    "Price",
    "PurgeRun",
    "Purpose",
    "Quota",
    "QuotaCounter",
    "Rating",
    "Reason",
    "Rehearsal",
    "RehearsalVote",
    "RehearsedAnswer",
    "RehearsedQuestion",
    "Reservation",
    "RetentionRule",
    "Role",
    "Share",
    "SharedMessage",
    "Side",
    "SignupMode",
    "SignupPolicy",
    "Status",
    "TitleFrom",
    "Trial",
    "UsageRecord",
    "UsageRollUp",
    "User",
    "Worker",
    "one_version",
]
