"""The chat app."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import pre_delete
from django.utils.translation import gettext_lazy as _


class ChatConfig(AppConfig):
    name = "chat"
    verbose_name = _("Chat")

    def ready(self) -> None:
        from chat import checks, search, witness  # noqa: F401 - registers the checks
        from chat.models import Conversation, User
        from chat.retention import holds

        # First: what may not go is not forgotten by the search, either.
        pre_delete.connect(holds.check_conversation, sender=Conversation)
        pre_delete.connect(holds.check_person, sender=User)
        pre_delete.connect(search.forget_conversation, sender=Conversation)
        witness.watch()
