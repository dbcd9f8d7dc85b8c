"""System checks of ``settings.CHAT_MODERATION``.

* **backends.E020** it is not a dictionary of dictionaries, or an entry has a key or a value that means nothing.
* **backends.E021** BACKEND cannot be imported, or is no moderator.
* **backends.E022** OPTIONS do not suit the class, or the constructor refused a value.
* **backends.E023** said by the word list: its file is not there, or has a line that cannot be used.
* **backends.E024** said by OpenAI's moderator: there is no key.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from backends.moderation.base import BaseModerator
from backends.moderation.registry import CHECKS, FAILURES

_KEYS = {"BACKEND", "OPTIONS", "CHECKS", "ON_FAILURE", "TIMEOUT"}


def check_moderation(**kwargs: Any) -> list[CheckMessage]:
    """Return what is wrong with each configured moderator, without opening any."""
    configured = getattr(settings, "CHAT_MODERATION", {})
    if not isinstance(configured, Mapping):
        return [Error("CHAT_MODERATION is not a dictionary.", hint="It maps an alias to one.", id="backends.E020")]
    return [message for alias, entry in configured.items() for message in _check_entry(alias, entry)]


def _check_entry(alias: str, entry: Any) -> list[CheckMessage]:
    where = f"CHAT_MODERATION[{alias!r}]"
    if not isinstance(entry, Mapping):
        return [Error(f"{where} is not a dictionary.", hint="Give it BACKEND and OPTIONS.", id="backends.E020")]
    found: list[CheckMessage] = [
        Error(f"{where}: {what}.", hint=hint, id="backends.E020") for what, hint in _wrong(entry)
    ]
    try:
        moderator = import_string(entry["BACKEND"])
    except (KeyError, ImportError, AttributeError, TypeError) as error:
        hint = 'BACKEND is the dotted path of a class, such as "backends.moderation.words.WordListModerator".'
        return [*found, Error(f"{where} has no BACKEND that can be imported: {error}", hint=hint, id="backends.E021")]
    if not (inspect.isclass(moderator) and issubclass(moderator, BaseModerator)):
        hint = "Subclass backends.moderation.BaseModerator."
        return [*found, Error(f"{where}: {entry['BACKEND']} is no moderator.", hint=hint, id="backends.E021")]
    try:
        messages = moderator(**entry.get("OPTIONS", {})).system_check()
    except (TypeError, ValueError) as error:
        return [*found, Error(f"{where} has an option that cannot be used: {error}", id="backends.E022")]
    for message in messages:
        message.obj = message.obj or where
    return [*found, *messages]


def _wrong(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [
        (f"the unknown key {key!r}", f"It knows: {', '.join(sorted(_KEYS))}.") for key in entry if key not in _KEYS
    ]
    checks = entry.get("CHECKS", ["question"])
    if isinstance(checks, str) or not checks or not set(checks) <= set(CHECKS):
        found.append((f"CHECKS is {checks!r}", f"Make it a list of {' and '.join(CHECKS)}."))
    if entry.get("ON_FAILURE", "allow") not in FAILURES:
        found.append((f"ON_FAILURE is {entry['ON_FAILURE']!r}", f"Write {' or '.join(FAILURES)}."))
    timeout = entry.get("TIMEOUT", 5.0)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 60:
        found.append((f"TIMEOUT is {timeout!r}", "Seconds, more than 0 and at most 60."))
    return found
