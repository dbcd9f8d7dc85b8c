"""How long things are kept: rules, what must be kept whatever they say, and what was purged when."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.conversations import Conversation
from chat.models.people import User
from chat.querysets import LegalHoldQuerySet

MOST_DAYS = 36_500
_THERE_IS_ONE = _("There is a rule for this already. Change that one.")


class Kept(models.TextChoices):
    """What a rule is about."""

    CONVERSATIONS = "conversations", _("conversations, after their last use")
    DELETED = "deleted", _("deleted conversations")
    IMPORTS = "imports", _("uploads that were never imported")
    FLAGS = "flags", _("moderation flags")
    USAGE = "usage", _("usage records")
    AUDIT = "audit", _("audit log")
    SESSIONS = "sessions", _("sessions")


PERSONAL = (Kept.CONVERSATIONS, Kept.DELETED, Kept.IMPORTS)
"""What belongs to a person, so that a group can have a rule of its own for it."""


class RetentionRule(models.Model):
    """One kind of thing is kept for so many days, of everybody or of the members of a group.

    A group's rule holds instead of that for everybody. Of the rules of several groups the longest holds.
    """

    kind = models.CharField(_("what"), max_length=20, choices=Kept, default=Kept.CONVERSATIONS)
    group = models.ForeignKey(
        Group, models.CASCADE, null=True, blank=True, verbose_name=_("group"), help_text=_("Empty for everybody.")
    )
    days = models.PositiveIntegerField(
        _("days"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DAYS)],
        help_text=_("For how long it is kept. Empty: for ever."),
    )
    spares_pinned = models.BooleanField(
        _("pinned ones stay"), default=True, help_text=_("Pinned conversations are never deleted by this rule.")
    )
    spares_archived = models.BooleanField(
        _("archived ones stay"), default=False, help_text=_("Archived conversations are never deleted by this rule.")
    )

    class Meta:
        ordering = ["kind", "group__name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "group"], name="one_rule_a_group", violation_error_message=_THERE_IS_ONE
            ),
            # Empty groups are different ones for a database.
            models.UniqueConstraint(
                fields=["kind"],
                condition=models.Q(group=None),
                name="one_rule_for_everybody",
                violation_error_message=_THERE_IS_ONE,
            ),
        ]
        verbose_name = _("retention rule")
        verbose_name_plural = _("retention rules")

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.whom}"

    @property
    def whom(self) -> str:
        return str(self.group) if self.group_id else str(_("everybody"))

    def clean(self) -> None:
        if self.group_id and self.kind not in PERSONAL:
            raise ValidationError({"group": _("This is nobody's in particular: leave the group empty.")})


class LegalHold(models.Model):
    """Nothing of a person, or of one conversation, is erased by anybody, until this is lifted."""

    person = models.ForeignKey(
        User,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="holds",
        verbose_name=_("person"),
        help_text=_("All conversations of this person are kept."),
    )
    conversation = models.ForeignKey(
        Conversation,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="holds",
        verbose_name=_("conversation"),
        help_text=_("Only this conversation is kept."),
    )
    reason = models.CharField(
        _("reason"),
        max_length=200,
        help_text=_("Such as a file number. It is shown in the admin and in the audit log."),
    )
    by = models.CharField(_("by"), max_length=150, blank=True)
    since = models.DateTimeField(_("since"), default=timezone.now)
    lifted_by = models.CharField(_("lifted by"), max_length=150, blank=True)
    lifted_at = models.DateTimeField(_("lifted"), null=True, blank=True)

    objects = LegalHoldQuerySet.as_manager()

    class Meta:
        ordering = ["-since"]
        verbose_name = _("legal hold")
        verbose_name_plural = _("legal holds")

    def __str__(self) -> str:
        return str(_("legal hold %(number)s")) % {"number": self.pk}

    def clean(self) -> None:
        if bool(self.person_id) == bool(self.conversation_id):
            raise ValidationError(_("Choose a person or a conversation, one of the two."))


class PurgeRun(models.Model):
    """One round of purging: by whom, until when, what went."""

    by = models.CharField(_("by"), max_length=150)
    """A process, or who called the command."""
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    renewed_at = models.DateTimeField(default=timezone.now)
    """A sign of life: another process goes on where this one died."""
    finished_at = models.DateTimeField(_("finished"), null=True)
    is_open = models.BooleanField(default=True)
    counts = models.JSONField(_("what went"), default=dict)

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(fields=["is_open"], condition=models.Q(is_open=True), name="one_purge_at_a_time")
        ]
        verbose_name = _("purge")
        verbose_name_plural = _("purges")

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"
