"""``manage.py check``: wrong backends are found here, not at the first message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connection

from backends import chat_backends
from backends.checks import check_chat_backends
from backends.moderation.checks import check_moderation
from chat import search
from chat.models import Assistant, SignupMode
from chat.people import signup

LEAST_UNDO = 30

register(check_chat_backends, "backends")
register(check_moderation, "backends")


@register("chat")
def check_processes(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Find several processes without a Redis by which they hear of each other, and an address that is none."""
    if settings.REDIS_URL and not _is_redis_url(settings.REDIS_URL):
        return [
            Error(
                "REDIS_URL is no address of a Redis server.",  # it may have a password in it
                hint="Write redis://host:6379/0, rediss://… for TLS, or unix:///path/to/redis.sock.",
                id="chat.E001",
            )
        ]
    if settings.WEB_CONCURRENCY > 1 and not settings.REDIS_URL:
        return [
            Warning(
                f"{settings.WEB_CONCURRENCY} processes are to serve the site, and there is no REDIS_URL.",
                hint="Pages hear only of the answers that their own process writes. Set REDIS_URL, or run one process.",
                id="chat.W002",
            )
        ]
    return []


@register("chat")
def check_sharing(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Find a wish for shared links that we do not know; nobody may open one then."""
    if settings.CHAT_SHARING in {"public", "signed-in", "off"}:
        return []
    hint = "Write public, signed-in or off. Until then no shared link opens."
    return [Error(f"CHAT_SHARING is {settings.CHAT_SHARING!r}, which means nothing.", hint=hint, id="chat.E002")]


@register("chat")
def check_signup(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Find a wish for sign-up that we do not know, and one that needs mails where none are sent."""
    mode = settings.CHAT_SIGNUP
    if mode and mode not in SignupMode.values:
        hint = f"Write one of {', '.join(SignupMode.values)}, or leave it empty. Until then nobody signs up."
        return [Error(f"CHAT_SIGNUP is {mode!r}, which means nothing.", hint=hint, id="chat.E023")]
    if (mode == SignupMode.DOMAIN or settings.CHAT_SIGNUP_VERIFY) and not signup.has_mail():
        return [
            Warning(
                "People must verify their e-mail address, and no mail is set up.",
                hint="Set EMAIL_URL: whoever signs up waits for a mail that is never sent.",
                id="chat.W023",
            )
        ]
    return []


@register("chat")
def check_organising(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Find titles that nobody would write, and an undo that is over before anybody can use it."""
    found: list[CheckMessage] = []
    alias = settings.CHAT_TITLE_BACKEND
    if alias and alias not in chat_backends:
        known = ", ".join(chat_backends) or "none"
        found.append(
            Error(
                f"CHAT_TITLE_BACKEND is {alias!r}, unknown to CHAT_BACKENDS.",
                hint=f"Name one of its aliases ({known}), or leave it empty for the first words.",
                id="chat.E014",
            )
        )
    if settings.CHAT_UNDO_SECONDS < LEAST_UNDO:
        found.append(
            Error(
                f"CHAT_UNDO_SECONDS is {settings.CHAT_UNDO_SECONDS}.",
                hint=f"Give people at least {LEAST_UNDO} seconds: there is no question before something is deleted.",
                id="chat.E015",
            )
        )
    return found


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        where = parts.path if parts.scheme == "unix" else parts.hostname
        return parts.scheme in {"redis", "rediss", "unix"} and bool(where) and parts.port != 0
    except ValueError:
        return False


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


@register(Tags.database)
def check_search(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Find an SQLite that cannot search, and messages that the search does not know."""
    if not databases:
        return []
    if connection.vendor == "sqlite" and not search.has_fts5():
        return [
            Error(
                "This SQLite was built without FTS5, which the search needs.",
                hint="Use a Python whose sqlite3 has it, as Debian's and python.org's have, or PostgreSQL.",
                id="chat.E006",
            )
        ]
    if "chat_search" not in connection.introspection.table_names() or not search.is_behind():
        return []
    return [
        Warning(
            "There are messages that the search does not find yet.",
            hint="The running site enters them little by little; manage.py rebuild_search does it now.",
            id="chat.W006",
        )
    ]
