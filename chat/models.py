"""What the site keeps: people, assistants, conversations as trees of messages, and how each answer came to be."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AbstractUser, Group
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backends import chat_backends
from chat.querysets import AssistantQuerySet, ConversationQuerySet, GenerationQuerySet, MessageQuerySet


class User(AbstractUser):
    """Somebody with an account. A class of our own from the first migration, because it cannot be swapped in later."""

    class Meta(AbstractUser.Meta):
        permissions = [("view_others_conversations", _("Can read conversations of other people in the admin"))]


def _is_list_of_strings(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValidationError(_('Give a list of texts, such as ["one", "two"].'))


class Assistant(models.Model):
    """What an administrator offers to people: a backend with a prompt and parameters."""

    name = models.CharField(_("name"), max_length=80)
    slug = models.SlugField(_("slug"), unique=True)
    description = models.CharField(_("description"), max_length=200, blank=True)
    avatar = models.CharField(
        _("avatar"), max_length=8, blank=True, help_text=_("One or two letters or an emoji; empty for the sparkle.")
    )
    backend = models.CharField(_("backend"), max_length=80, help_text=_("An alias in settings.CHAT_BACKENDS."))
    model = models.CharField(
        _("model"), max_length=200, blank=True, help_text=_("Empty for the model that the backend is set up with.")
    )
    system_prompt = models.TextField(_("system prompt"), blank=True)
    temperature = models.FloatField(
        _("temperature"), null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(2)]
    )
    top_p = models.FloatField(
        _("top p"), null=True, blank=True, validators=[MinValueValidator(0.01), MaxValueValidator(1)]
    )
    max_output_tokens = models.PositiveIntegerField(
        _("max output tokens"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    stop = models.JSONField(
        _("stop"), default=list, blank=True, validators=[_is_list_of_strings], help_text=_("Texts that end an answer.")
    )
    seed = models.BigIntegerField(_("seed"), null=True, blank=True, validators=[MinValueValidator(0)])
    starters = models.JSONField(
        _("starters"),
        default=list,
        blank=True,
        validators=[_is_list_of_strings],
        help_text=_("Questions that an empty page suggests."),
    )
    groups = models.ManyToManyField(
        Group, blank=True, verbose_name=_("groups"), help_text=_("Who may use it; none means everybody.")
    )
    order = models.PositiveSmallIntegerField(_("order"), default=0)
    is_active = models.BooleanField(_("active"), default=True)
    input_price = models.DecimalField(
        _("input price"), max_digits=9, decimal_places=4, default=Decimal(0), help_text=_("Per million input tokens.")
    )
    output_price = models.DecimalField(
        _("output price"), max_digits=9, decimal_places=4, default=Decimal(0), help_text=_("Per million output tokens.")
    )

    objects = AssistantQuerySet.as_manager()

    class Meta:
        ordering = ["order", "name"]
        verbose_name = _("assistant")
        verbose_name_plural = _("assistants")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.backend not in chat_backends:
            raise ValidationError(
                {"backend": _("settings.CHAT_BACKENDS has no alias “%(alias)s”.") % {"alias": self.backend}}
            )

    @property
    def backend_label(self) -> str:
        return chat_backends.label(self.backend)

    def cost(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return what an answer of this many tokens costs at today's price, in the currency of the prices."""
        return (self.input_price * input_tokens + self.output_price * output_tokens) / 1_000_000


class Conversation(models.Model):
    """A tree of messages that belongs to one person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, models.CASCADE, related_name="conversations", verbose_name=_("owner"))
    title = models.CharField(_("title"), max_length=200)
    assistant = models.ForeignKey(Assistant, models.SET_NULL, null=True, blank=True, verbose_name=_("assistant"))
    leaf = models.ForeignKey("Message", models.SET_NULL, null=True, related_name="+", editable=False)
    """The newest message of the branch that the page shows."""
    is_pinned = models.BooleanField(_("pinned"), default=False)
    is_archived = models.BooleanField(_("archived"), default=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]
        indexes = [models.Index(fields=["owner", "-updated_at"], name="conversation_newest")]
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("chat:conversation", args=[self.pk])


class Role(models.TextChoices):
    SYSTEM = "system", _("system")
    USER = "user", _("user")
    ASSISTANT = "assistant", _("assistant")


class Message(models.Model):
    """One turn. A child is the answer to its parent or the question after it; siblings are branches."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    role = models.CharField(_("role"), max_length=10, choices=Role)
    content = models.TextField(_("content"), blank=True)
    key = models.UUIDField(null=True, unique=True, editable=False)
    """Made by the browser for each message that is sent, so that sending it twice stores it once."""
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = MessageQuerySet.as_manager()

    class Meta:
        # A child's id is always greater than its parent's: the newest part of a branch is found without walking it all.
        ordering = ["id"]
        indexes = [models.Index(fields=["conversation", "id"], name="message_in_conversation")]
        verbose_name = _("message")
        verbose_name_plural = _("messages")

    def __str__(self) -> str:
        return f"{self.role} {self.pk}"


class Status(models.TextChoices):
    """OpenAI's words for the life of a response."""

    QUEUED = "queued", _("queued")
    IN_PROGRESS = "in_progress", _("in progress")
    COMPLETED = "completed", _("completed")
    INCOMPLETE = "incomplete", _("incomplete")
    CANCELLED = "cancelled", _("cancelled")
    FAILED = "failed", _("failed")


class Generation(models.Model):
    """One run of a backend, which writes one message.

    The status changes only by a conditional update (``filter(pk=…, status=old).update(status=new) == 1``), so that
    finishing and cancelling cannot both win.
    """

    message = models.OneToOneField(Message, models.CASCADE, related_name="generation", primary_key=True)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.QUEUED)
    finish_reason = models.CharField(_("finish reason"), max_length=20, blank=True)
    error_code = models.CharField(_("error code"), max_length=40, blank=True)
    error_detail = models.TextField(_("error detail"), blank=True)
    """For administrators: the backend's own sentence and hint, without prompt or key."""
    assistant = models.ForeignKey(Assistant, models.SET_NULL, null=True, verbose_name=_("assistant"))
    assistant_name = models.CharField(_("assistant"), max_length=80)
    backend = models.CharField(_("backend"), max_length=80)
    model = models.CharField(_("model"), max_length=200, blank=True)
    parameters = models.JSONField(_("parameters"), default=dict)
    input_tokens = models.PositiveIntegerField(_("input tokens"), null=True)
    output_tokens = models.PositiveIntegerField(_("output tokens"), null=True)
    cost = models.DecimalField(_("cost"), max_digits=12, decimal_places=6, default=Decimal(0))
    queued_at = models.DateTimeField(_("queued"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True)
    first_delta_at = models.DateTimeField(_("first delta"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    heartbeat_at = models.DateTimeField(_("heartbeat"), null=True)
    worker = models.CharField(_("worker"), max_length=100, blank=True)
    """The process that writes the answer: host, process id and a nonce."""
    stage = models.CharField(_("stage"), max_length=10, blank=True)
    """Why there was no text yet when that was last told, in the words of ``backends.StageName``; idle once there is."""
    stage_position = models.PositiveIntegerField(_("place in the queue"), null=True)
    """1 is next; only while the stage is ``queued``."""

    objects = GenerationQuerySet.as_manager()

    class Meta:
        ordering = ["-queued_at"]
        indexes = [
            # Not a partial index: SQLite, which is sent parameters, cannot tell that their rows are in one.
            models.Index(fields=["status", "queued_at"], name="generation_by_status"),
            models.Index(fields=["-queued_at"], name="generation_newest"),
        ]
        verbose_name = _("generation")
        verbose_name_plural = _("generations")

    def __str__(self) -> str:
        return f"{self.assistant_name} {self.status}"

    @property
    def is_running(self) -> bool:
        """Whether the answer may still grow."""
        return self.status in {Status.QUEUED, Status.IN_PROGRESS}

    @property
    def seconds(self) -> float | None:
        """How long the backend took, in seconds; None while it is not known, or where the clock was set meanwhile."""
        if self.started_at and self.finished_at and self.started_at <= self.finished_at:
            return (self.finished_at - self.started_at).total_seconds()
        return None


class DraftPiece(models.Model):
    """Text of an answer that is being written, since ``Message.content`` was written last; see ``chat.pieces``."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="pieces", db_constraint=False)
    """Without a constraint in the database: whoever deletes the message does not wait for who writes it."""
    offset = models.PositiveIntegerField()
    """Length of the text before this piece, in code points."""
    text = models.TextField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.message_id}+{self.offset}"
