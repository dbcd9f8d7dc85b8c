"""``moderators``: those that ``settings.CHAT_MODERATION`` names, one instance each per process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from backends.moderation.base import BaseModerator, Kind

CHECKS: tuple[Kind, ...] = ("question", "answer")
FAILURES = ("allow", "refuse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A moderator, and what the settings say of it."""

    alias: str
    moderator: BaseModerator
    checks: tuple[str, ...]
    """What it looks at: ``question``, ``answer``."""
    refuses_on_failure: bool
    """Whether what it could not look at is refused."""
    timeout: float
    """Seconds for one check."""


class ModeratorHandler:
    """Moderators by alias; made at first use, under a lock."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}

    def __getitem__(self, alias: str) -> Entry:
        """Return the moderator of this alias.

        Raises:
            ImproperlyConfigured: there is no such alias, or its class or options are wrong.
        """
        with self._lock:
            if alias not in self._entries:
                self._entries[alias] = self._create(alias)
            return self._entries[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def looking_at(self, kind: Kind) -> list[Entry]:
        """Return those that look at questions, or at answers.

        Raises:
            ImproperlyConfigured: the settings of one are wrong.
        """
        return [entry for entry in map(self.__getitem__, self._settings) if kind in entry.checks]

    def reset(self) -> None:
        """Forget all instances, so that the next use reads the settings anew."""
        with self._lock:
            self._entries.clear()

    @property
    def _settings(self) -> Mapping[str, Any]:
        configured = getattr(settings, "CHAT_MODERATION", {})
        return configured if isinstance(configured, Mapping) else {}

    def _create(self, alias: str) -> Entry:
        entry = self._settings.get(alias)
        if not isinstance(entry, Mapping):
            raise ImproperlyConfigured(f"CHAT_MODERATION has no alias {alias!r}.")
        try:
            moderator: BaseModerator = import_string(entry["BACKEND"])(**entry.get("OPTIONS", {}))
        except (ImportError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ImproperlyConfigured(f"CHAT_MODERATION[{alias!r}] cannot be used: {error}") from error
        moderator.alias = alias
        return Entry(
            alias=alias,
            moderator=moderator,
            checks=tuple(entry.get("CHECKS", ("question",))),
            refuses_on_failure=entry.get("ON_FAILURE", "allow") == "refuse",
            timeout=float(entry.get("TIMEOUT", 5.0)),
        )


moderators = ModeratorHandler()


def _forget_overridden_settings(*, setting: str, **kwargs: Any) -> None:
    if setting == "CHAT_MODERATION":
        moderators.reset()


setting_changed.connect(_forget_overridden_settings, dispatch_uid="backends.moderation.registry")
