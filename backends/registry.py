"""``chat_backends``: the backends that ``settings.CHAT_BACKENDS`` names, one instance each per process."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from backends.base import BaseChatBackend, ChatRequest, StreamEvent
from backends.exceptions import BackendMisconfigured
from backends.guard import Limits, guarded


class InvalidChatBackend(BackendMisconfigured, ImproperlyConfigured):
    """``settings.CHAT_BACKENDS`` does not name this alias, or names it wrongly."""

    code = "backend_missing"


class ChatBackendHandler:
    """Backends by alias.

    Django's ``BaseConnectionHandler`` keeps one instance per thread and per task, which for a local model would mean
    its weights once for each of them; here an alias has one instance per process, made at first use under a lock.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._instances: dict[str, BaseChatBackend] = {}

    def __getitem__(self, alias: str) -> BaseChatBackend:
        """Return the backend of this alias.

        Raises:
            InvalidChatBackend: there is no such alias, or its class or options are wrong.
        """
        with self._lock:
            if alias not in self._instances:
                self._instances[alias] = self._create(alias)
            return self._instances[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)

    def __contains__(self, alias: object) -> bool:
        """Whether the settings name this alias; its backend need not work."""
        return alias in self._settings

    def label(self, alias: str) -> str:
        """Return the human name of an alias without making its backend; the alias itself where there is none."""
        entry = self._settings.get(alias)
        return str(entry.get("LABEL") or alias) if isinstance(entry, Mapping) else alias

    def stream(self, alias: str, request: ChatRequest, *, seconds: float | None = None) -> AsyncGenerator[StreamEvent]:
        """Return the answer of this alias's backend, held to its limits: the way for all who show it to people.

        With ``seconds``, it takes no longer than that, where the limits allow more.

        Raises:
            InvalidChatBackend: there is no such alias, or its class or options are wrong.
            BackendMisconfigured: its limits are wrong.
        """
        backend, limits = self[alias], self.limits(alias)
        if seconds is not None:
            limits = replace(limits, total_seconds=min(limits.total_seconds, seconds))
        return guarded(backend.stream(request), limits)

    def limits(self, alias: str) -> Limits:
        """Return ``settings.CHAT_LIMITS`` with what the alias's own ``LIMITS`` say instead.

        Raises:
            BackendMisconfigured: a name or a value is wrong.
        """
        entry = self._settings.get(alias)
        own = entry.get("LIMITS", {}) if isinstance(entry, Mapping) else {}
        try:
            return Limits(**{**getattr(settings, "CHAT_LIMITS", {}), **own})
        except (TypeError, ValueError) as error:
            raise BackendMisconfigured(f"The limits of {alias!r} cannot be used: {error}") from error

    def reset(self) -> None:
        """Forget all instances, so that the next use reads the settings anew."""
        with self._lock:
            self._instances.clear()

    @property
    def _settings(self) -> Mapping[str, Any]:
        configured = getattr(settings, "CHAT_BACKENDS", {})
        return configured if isinstance(configured, Mapping) else {}

    def _create(self, alias: str) -> BaseChatBackend:
        entry = self._settings.get(alias)
        if entry is None:
            known = ", ".join(map(repr, self._settings)) or "none"
            raise InvalidChatBackend(f"CHAT_BACKENDS has no alias {alias!r}; it has: {known}.")
        try:
            backend: BaseChatBackend = import_string(entry["BACKEND"])(**entry.get("OPTIONS", {}))
        except (ImportError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidChatBackend(f"CHAT_BACKENDS[{alias!r}] cannot be used: {error}") from error
        backend.alias = alias
        backend.label = self.label(alias)
        return backend


chat_backends = ChatBackendHandler()


def _forget_overridden_settings(*, setting: str, **kwargs: Any) -> None:
    if setting == "CHAT_BACKENDS":
        chat_backends.reset()


setting_changed.connect(_forget_overridden_settings, dispatch_uid="backends.registry")
