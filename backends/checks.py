"""System checks of ``settings.CHAT_BACKENDS`` and ``settings.CHAT_LIMITS``.

* **backends.E001** CHAT_BACKENDS is not a dictionary of dictionaries.
* **backends.E002** BACKEND is missing or cannot be imported.
* **backends.E003** BACKEND is not a subclass of BaseChatBackend.
* **backends.E004** OPTIONS has a name that the class does not take.
* **backends.E005** OPTIONS lacks a name that the class needs, or the constructor refused a value.
* **backends.E006** and on: said by the backends themselves; docs/settings.md lists them.
* **backends.E017** CHAT_LIMITS or LIMITS has a name that is no limit, or is not a dictionary.
* **backends.E018** a limit has a value that cannot be used.
* **backends.W001** an entry has a key that means nothing.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import import_string

from backends.base import BaseChatBackend
from backends.guard import LIMIT_NAMES, wrong_limits

_KEYS = {"BACKEND", "LABEL", "LIMITS", "OPTIONS"}


def check_chat_backends(**kwargs: Any) -> list[CheckMessage]:
    """Return what is wrong with each configured backend, without opening any."""
    configured = getattr(settings, "CHAT_BACKENDS", {})
    if not isinstance(configured, Mapping):
        return [Error("CHAT_BACKENDS is not a dictionary.", hint="It maps an alias to a backend.", id="backends.E001")]
    found = _check_limits("CHAT_LIMITS", getattr(settings, "CHAT_LIMITS", {}))
    return [*found, *(message for alias, entry in configured.items() for message in _check_entry(alias, entry))]


def _check_entry(alias: str, entry: Any) -> Iterable[CheckMessage]:
    where = f"CHAT_BACKENDS[{alias!r}]"
    if not isinstance(entry, Mapping):
        return [Error(f"{where} is not a dictionary.", hint="Give it BACKEND and OPTIONS.", id="backends.E001")]
    found: list[CheckMessage] = [
        Warning(f"{where} has the unknown key {key!r}.", hint=_did_you_mean(key, _KEYS), id="backends.W001")
        for key in entry
        if key not in _KEYS
    ]
    found += _check_limits(f"{where}['LIMITS']", entry.get("LIMITS", {}))
    try:
        backend = import_string(entry["BACKEND"])
    except (KeyError, ImportError, AttributeError, TypeError) as error:
        hint = 'BACKEND is the dotted path of a class, such as "backends.openai.OpenAIBackend".'
        return [*found, Error(f"{where} has no BACKEND that can be imported: {error}", hint=hint, id="backends.E002")]
    if not (inspect.isclass(backend) and issubclass(backend, BaseChatBackend)):
        hint = "Subclass backends.BaseChatBackend."
        return [*found, Error(f"{where}: {entry['BACKEND']} is not a chat backend.", hint=hint, id="backends.E003")]
    return [*found, *_check_options(alias, backend, entry.get("OPTIONS", {}))]


def _check_limits(where: str, limits: Any) -> list[CheckMessage]:
    if not isinstance(limits, Mapping):
        hint = f"It maps names to numbers; it knows: {', '.join(LIMIT_NAMES)}."
        return [Error(f"{where} is not a dictionary.", hint=hint, id="backends.E017")]
    known = {name: value for name, value in limits.items() if name in LIMIT_NAMES}
    unknown: list[CheckMessage] = [
        Error(f"{where} has the unknown limit {name!r}.", hint=_did_you_mean(name, LIMIT_NAMES), id="backends.E017")
        for name in limits
        if name not in known
    ]
    wrong = [
        Error(f"{where}: {name} {what}.", hint="docs/faults.md lists the limits.", id="backends.E018")
        for name, what in wrong_limits(known).items()
    ]
    return [*unknown, *wrong]


def _check_options(alias: str, backend: type[BaseChatBackend], options: Any) -> Iterable[CheckMessage]:
    where = f"CHAT_BACKENDS[{alias!r}]"
    if not isinstance(options, Mapping):
        return [Error(f"{where}['OPTIONS'] is not a dictionary.", id="backends.E001")]
    parameters = inspect.signature(backend).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    unknown = [] if takes_any else [name for name in options if name not in parameters]
    if unknown:
        return [
            Error(f"{where} has the unknown option {name!r}.", hint=_did_you_mean(name, parameters), id="backends.E004")
            for name in unknown
        ]
    missing = [
        name
        for name, parameter in parameters.items()
        if name not in options and parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    if missing:
        return [Error(f"{where} lacks the option {name!r}.", id="backends.E005") for name in missing]
    try:
        instance = backend(**options)
        instance.alias = alias
        found = instance.check()
    except (TypeError, ValueError) as error:
        return [Error(f"{where} has an option that cannot be used: {error}", id="backends.E005")]
    for message in found:
        message.obj = message.obj or where
    return found


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else f"It knows: {', '.join(sorted(known))}."
