"""The settings that are in effect: each with where it comes from and what it is for, and without its secrets.

Nothing is changed here: what the environment or the settings module says, stays theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from django.conf import global_settings, settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from chat.diagnosis.explanations import EXPLANATIONS, SECTIONS
from chat.diagnosis.masking import masked

Source = Literal["default", "environment", ".env", "settings"]

_FROM: dict[str, str] = {
    "DATABASES": "DATABASE_URL",
    "EMAIL_BACKEND": "EMAIL_URL",
    "EMAIL_HOST": "EMAIL_URL",
    "EMAIL_PORT": "EMAIL_URL",
    "EMAIL_HOST_USER": "EMAIL_URL",
    "EMAIL_HOST_PASSWORD": "EMAIL_URL",
    "EMAIL_USE_TLS": "EMAIL_URL",
    "EMAIL_USE_SSL": "EMAIL_URL",
    "SECURE_PROXY_SSL_HEADER": "HTTPS",
    "SECURE_SSL_REDIRECT": "HTTPS",
    "SECURE_HSTS_SECONDS": "HTTPS",
    "SESSION_COOKIE_SECURE": "HTTPS",
    "CSRF_COOKIE_SECURE": "HTTPS",
    "STATIC_ROOT": "VAR_DIR",
}
"""Settings that are made of a variable with another name."""
_MADE_HERE = {"SECRET_KEY", "CHAT_BACKENDS"}
"""Settings of which a part is not what was read, whatever was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting, or one part of one that has parts."""

    name: str
    value: str
    """Masked; empty where it is."""
    source: Source
    variable: str = ""
    """The variable of the environment that sets it, whether it does or not."""
    what: str | Promise


@dataclass(frozen=True, slots=True)
class Section:
    """Settings that belong together."""

    name: str | Promise
    rows: Sequence[Row]


def sections() -> list[Section]:
    """Return all settings that matter, in sections."""
    return [Section(name, [row for setting in names for row in _rows(setting)]) for name, names in SECTIONS.items()]


def _rows(setting: str) -> Iterator[Row]:
    read: Mapping[str, tuple[Source, Any]] = getattr(settings, "SETTINGS_READ", {})
    if hasattr(settings, setting):
        value: Any = getattr(settings, setting)
    elif setting in read:
        value = read[setting][1]  # such as LOG_LEVEL, which becomes a part of something else
    else:
        return
    variable = setting if setting in read else _FROM.get(setting, "")
    source = _source(setting, value, variable, read)
    for path, inner in _flattened(setting, masked(setting, value)):
        yield Row(name=path, value=_text(inner), source=source, variable=variable, what=EXPLANATIONS[setting])


def _source(setting: str, value: Any, variable: str, read: Mapping[str, tuple[Source, Any]]) -> Source:
    if variable and variable in read:
        source, was_read = read[variable]
        is_as_read = variable != setting or setting in _MADE_HERE or not hasattr(settings, setting)
        # A settings module of the site's own may have another value than what was read.
        return source if is_as_read or _text(value) == _text(was_read) else "settings"
    missing = object()
    return "default" if getattr(global_settings, setting, missing) == value else "settings"


def _flattened(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a setting that has parts, each with its path."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flattened(f"{path}.{key}", inner)
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for number, inner in enumerate(value):
            yield from _flattened(f"{path}.{number}", inner)
    else:
        yield path, value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if value is None or value in ("", [], (), {}):
        return ""
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(_text, value))
    return str(Path(value)) if isinstance(value, Path) else str(value)
