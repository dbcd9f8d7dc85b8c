"""What moderation found, and the words that administrators have it look for."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.conversations import Conversation, Message
from chat.models.people import User


class ModerationAction(models.TextChoices):
    FLAG = "flag", _("flag")
    REFUSE = "refuse", _("refuse")


class ModeratedKind(models.TextChoices):
    QUESTION = "question", _("question")
    ANSWER = "answer", _("answer")


class ModerationFlag(models.Model):
    """A question or an answer that a moderator found something in. Its text is in the conversation alone."""

    at = models.DateTimeField(_("when"), default=timezone.now)
    person = models.ForeignKey(User, models.CASCADE, related_name="flags", verbose_name=_("person"))
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, null=True, related_name="flags", verbose_name=_("conversation")
    )
    """None where a question was refused that would have begun one."""
    message = models.ForeignKey(Message, models.CASCADE, null=True, related_name="flags", verbose_name=_("message"))
    """None where the question was refused: then it is stored nowhere."""
    kind = models.CharField(_("of what"), max_length=10, choices=ModeratedKind)
    action = models.CharField(_("what was done"), max_length=10, choices=ModerationAction)
    moderator = models.CharField(_("moderator"), max_length=80)
    """An alias of ``settings.CHAT_MODERATION``."""
    rule = models.CharField(_("rule"), max_length=200, blank=True)
    reviewed_at = models.DateTimeField(_("reviewed"), null=True)
    reviewed_by = models.CharField(_("reviewed by"), max_length=150, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["-at", "-id"], name="flag_newest"),
            models.Index(fields=["reviewed_at", "-at"], name="flag_by_review"),
        ]
        verbose_name = _("moderation flag")
        verbose_name_plural = _("moderation flags")

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.rule or self.moderator}"


class ModerationRule(models.Model):
    """A word, or a pattern, that the word list of the admin looks for."""

    name = models.CharField(_("name"), max_length=80, help_text=_("Shown where it was found, in place of the text."))
    pattern = models.CharField(
        _("word or pattern"), max_length=500, help_text=_("A word or phrase, found as a whole word in any case.")
    )
    is_regex = models.BooleanField(
        _("regular expression"), default=False, help_text=_("In the syntax of RE2, which takes time in proportion.")
    )
    action = models.CharField(_("what to do"), max_length=10, choices=ModerationAction, default=ModerationAction.FLAG)
    words = models.CharField(
        _("words"),
        max_length=300,
        blank=True,
        help_text=_("What people read when it is refused. Empty: the usual words."),
    )
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("moderation rule")
        verbose_name_plural = _("moderation rules")

    def __str__(self) -> str:
        return self.name
