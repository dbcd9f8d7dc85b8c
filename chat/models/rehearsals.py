"""Changes of assistants tried out: on one question, or on many beside the answers that there are."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.assistants import Assistant
from chat.models.conversations import Conversation, Message
from chat.models.generations import Status
from chat.models.people import User
from chat.models.usage import Purpose
from chat.querysets import RehearsedAnswerQuerySet, RehearsedQuestionQuerySet


class Trial(models.Model):
    """A run of a backend outside of any conversation, while it goes on; no text is in it.

    What it set aside under quotas is named by ``-pk``, beside the positive numbers of generations.
    """

    person = models.ForeignKey(User, models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=10, choices=Purpose)
    backend = models.CharField(max_length=80)
    began_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    """When it must be over, or else its process died."""

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.purpose} {self.pk}"


class Rehearsal(models.Model):
    """Questions that other settings of an assistant are to answer, beside the answers that there are."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="rehearsals", verbose_name=_("who"))
    title = models.CharField(_("title"), max_length=120)
    assistant = models.ForeignKey(
        Assistant, models.SET_NULL, null=True, related_name="rehearsals", verbose_name=_("assistant")
    )
    """The one that is to be changed."""
    assistant_name = models.CharField(_("assistant"), max_length=80, blank=True)
    base_version = models.PositiveIntegerField(null=True)
    """What the assistant was when the change was thought up."""
    candidate_name = models.CharField(_("instead"), max_length=120)
    """Where the new settings come from, in words."""
    candidate = models.JSONField(_("settings"))
    """The new settings; ``chat.workshop.settings`` has their names."""
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    switched_at = models.DateTimeField(_("applied"), null=True)
    """When its settings became those of the assistant; only where they did."""

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("rehearsal")
        verbose_name_plural = _("rehearsals")

    def __str__(self) -> str:
        return self.title


class RehearsedQuestion(models.Model):
    """A question of a rehearsal, with what was said before it. Goes with the conversation that it was taken from."""

    rehearsal = models.ForeignKey(Rehearsal, models.CASCADE, related_name="questions")
    number = models.PositiveIntegerField()
    conversation = models.ForeignKey(Conversation, models.CASCADE, null=True, related_name="+")
    message = models.ForeignKey(Message, models.CASCADE, null=True, related_name="+")
    """The question in its conversation: when its owner deletes it, the copy goes, too."""
    messages = models.JSONField(default=list)
    """What was typed: objects with ``role`` and ``content``, the question last. Conversations are not copied."""

    objects = RehearsedQuestionQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["rehearsal", "number"], name="one_question")]

    def __str__(self) -> str:
        return f"{self.rehearsal_id}/{self.number}"

    @property
    def question(self) -> str:
        """What was asked."""
        if self.message:
            return self.message.content
        return str(self.messages[-1]["content"]) if self.messages else ""


class Side(models.TextChoices):
    OLD = "old", _("old answer")
    NEW = "new", _("new answer")


class RehearsedAnswer(models.Model):
    """An answer to a question of a rehearsal: copied from its conversation, or written for the rehearsal.

    The status changes only by a conditional update, as that of a generation does.
    """

    question = models.ForeignKey(RehearsedQuestion, models.CASCADE, related_name="answers")
    side = models.CharField(max_length=3, choices=Side)
    copied_from = models.ForeignKey(Message, models.CASCADE, null=True, related_name="+")
    """The answer in its conversation: when its owner deletes it, the copy goes, too."""
    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED)
    content = models.TextField(blank=True)
    finish_reason = models.CharField(max_length=20, blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_detail = models.TextField(blank=True)
    backend = models.CharField(max_length=80)
    model = models.CharField(max_length=200, blank=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    cost = models.DecimalField(max_digits=12, decimal_places=6, default=Decimal(0))
    first_text_ms = models.PositiveIntegerField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, blank=True)
    slot = models.PositiveSmallIntegerField(null=True)
    """Which of the places that rehearsals have at its backend it takes; only while it is in progress."""
    runs = models.PositiveSmallIntegerField(default=0)
    """How often a worker took it: one whose worker died is taken again, not for ever."""

    objects = RehearsedAnswerQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["question", "side"], name="one_answer_a_side"),
            models.UniqueConstraint(fields=["backend", "slot"], name="one_answer_a_slot"),
        ]
        indexes = [models.Index(fields=["status", "backend"], name="rehearsed_by_status")]

    def __str__(self) -> str:
        return f"{self.question_id} {self.side} {self.status}"

    @property
    def is_running(self) -> bool:
        """Whether it is still to come."""
        return self.status in {Status.QUEUED, Status.IN_PROGRESS}


class Choice(models.TextChoices):
    OLD = "old", _("The old one is better")
    SAME = "same", _("As good as each other")
    NEW = "new", _("The new one is better")


class RehearsalVote(models.Model):
    """Which of two answers an administrator finds better."""

    question = models.ForeignKey(RehearsedQuestion, models.CASCADE, related_name="votes")
    person = models.ForeignKey(User, models.CASCADE, related_name="+")
    choice = models.CharField(max_length=4, choices=Choice)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["question", "person"], name="one_vote")]

    def __str__(self) -> str:
        return f"{self.question_id} {self.choice}"
