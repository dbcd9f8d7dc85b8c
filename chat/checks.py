"""``manage.py check``: wrong backends are found here, not at the first message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connection

from backends import chat_backends
from backends.checks import check_chat_backends
from chat.models import Assistant

register(check_chat_backends, "backends")


@register(Tags.database)
def check_assistants(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Find active assistants whose backend the settings do not name; people do not see them."""
    if not databases or Assistant._meta.db_table not in connection.introspection.table_names():
        return []
    orphans = Assistant.objects.filter(is_active=True).exclude(backend__in=list(chat_backends))
    return [
        Warning(
            f"The assistant {assistant.slug!r} uses the backend {assistant.backend!r}, unknown to CHAT_BACKENDS.",
            hint="People do not see it. Name the backend in CHAT_BACKENDS, or give the assistant another one.",
            obj=assistant,
            id="chat.W001",
        )
        for assistant in orphans
    ]
