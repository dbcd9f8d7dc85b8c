"""Conversations as trees of messages."""

from __future__ import annotations

import uuid

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.assistants import Assistant
from chat.models.folders import Folder
from chat.models.people import User
from chat.querysets import ConversationQuerySet, MessageQuerySet


class TitleFrom(models.TextChoices):
    """Who chose a title. A backend may improve on the first words, on nothing else."""

    WORDS = "words", _("first words")
    BACKEND = "backend", _("backend")
    PERSON = "person", _("person")


class Conversation(models.Model):
    """A tree of messages that belongs to one person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, models.CASCADE, related_name="conversations", verbose_name=_("owner"))
    title = models.CharField(_("title"), max_length=200)
    title_from = models.CharField(max_length=10, choices=TitleFrom, default=TitleFrom.PERSON, editable=False)
    assistant = models.ForeignKey(Assistant, models.SET_NULL, null=True, blank=True, verbose_name=_("assistant"))
    leaf = models.ForeignKey("Message", models.SET_NULL, null=True, related_name="+", editable=False)
    """The newest message of the branch that the page shows."""
    parameters = models.JSONField(_("parameters"), default=dict, blank=True, editable=False)
    """What its owner changed of the assistants' parameters, for the next answer; see ``Assistant.parameters``."""
    is_pinned = models.BooleanField(_("pinned"), default=False)
    is_archived = models.BooleanField(_("archived"), default=False)
    folder = models.ForeignKey(
        Folder,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="conversations",
        verbose_name=_("folder"),
        db_index=False,
    )
    deleted_at = models.DateTimeField(_("deleted"), null=True, editable=False)
    """When its owner deleted it. It is nowhere to be found since, but can be restored until it is purged."""
    restored_at = models.DateTimeField(_("restored"), null=True, editable=False)
    """When its owner last took it back after it was deleted: a use, as far as retention counts days without one."""
    set_aside_from = models.ForeignKey("self", models.CASCADE, null=True, related_name="set_aside", editable=False)
    """The conversation under a legal hold that its owner deleted these messages from: they are kept here, hidden."""
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]
        # In the order of the list: a page of it is a walk along the index, however many there are. The conditions have
        # no parameters, so that SQLite can tell that its rows are in there.
        indexes = [
            models.Index(
                fields=["owner", "is_archived", "-is_pinned", "-updated_at", "-id"],
                condition=models.Q(deleted_at__isnull=True),
                name="conversation_listed",
            ),
            models.Index(
                fields=["folder", "is_archived", "-is_pinned", "-updated_at", "-id"], name="conversation_in_folder"
            ),
            models.Index(
                fields=["deleted_at"], condition=models.Q(deleted_at__isnull=False), name="conversation_deleted"
            ),
            models.Index(
                fields=["-updated_at", "-id"],
                condition=models.Q(deleted_at__isnull=True),
                name="conversation_untouched",
            ),
        ]
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
