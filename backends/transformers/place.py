"""Where this site's engine service is, as its settings say."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import Any

from django.conf import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlace:
    """An address, and what it takes to be served there."""

    address: str
    token: str = ""
    """For TCP."""
    may_start: bool = False
    """Whether to start a service where none listens; at a socket file only."""
    max_models: int = 3
    """Models that a service which is started here keeps loaded."""


def configured_place(address: str = "") -> ServicePlace:
    """Return what the settings say, for another address if one is given."""
    return ServicePlace(
        address=address or _setting("CHAT_ENGINE_ADDRESS", default="") or f"unix:{_default_folder()}/engine.sock",
        token=_setting("CHAT_ENGINE_TOKEN", default=""),
        may_start=_setting("CHAT_ENGINE_START", default=True),
        max_models=_setting("CHAT_ENGINE_MAX_MODELS", default=3),
    )


def _setting(name: str, *, default: Any) -> Any:
    # A program without Django's settings may use a backend too.
    is_django = settings.configured or "DJANGO_SETTINGS_MODULE" in os.environ
    return getattr(settings, name, default) if is_django else default


def _default_folder() -> str:
    return os.path.join(tempfile.gettempdir(), f"chat-engine-{os.getuid()}")  # noqa: PTH118 - text for a setting
