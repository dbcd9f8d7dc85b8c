"""What the form of an assistant says of the backends: how they fare, their models, and what the settings pin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from backends import InvalidChatBackend, chat_backends
from backends.exceptions import BackendMisconfigured
from chat.diagnosis.masking import masked
from chat.models import Assistant
from chat.operation import probing
from chat.operation.backend_health import health
from chat.wording import health_words


@dataclass(frozen=True, slots=True)
class Pinned:
    """A value that the settings decide, and where they do."""

    name: str
    value: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendFacts:
    """What somebody who chooses a backend wants to know."""

    alias: str
    label: str
    level: str
    health: str
    models: tuple[str, ...]
    sends_data_away: bool
    pinned: tuple[Pinned, ...]


def health_of_all() -> dict[str, str]:
    """Return how each backend of the settings fares, in words."""
    known = health(list(chat_backends))
    return {alias: health_words(known[alias]) for alias in chat_backends}


def facts() -> list[BackendFacts]:
    """Return what the form says of each backend of the settings; nobody is asked."""
    known = health(list(chat_backends))
    listed, named = probing.listed(), _named_models()
    return [
        BackendFacts(
            alias=alias,
            label=chat_backends.label(alias),
            level=known[alias].level,
            health=health_words(known[alias]),
            models=_models(alias, [*listed.get(alias, []), *named.get(alias, [])]),
            sends_data_away=_sends_data_away(alias),
            pinned=tuple(_pinned(alias)),
        )
        for alias in chat_backends
    ]


def _models(alias: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the models to suggest: the one of the settings first, each once."""
    own = _entry(alias).get("OPTIONS", {}).get("model")
    return tuple(dict.fromkeys([*([str(own)] if own else []), *known]))


def _named_models() -> dict[str, list[str]]:
    """Return the models that assistants name already, by backend."""
    found: dict[str, list[str]] = {}
    rows = Assistant.objects.exclude(model="").order_by("model").values_list("backend", "model").distinct()
    for alias, model in rows:
        found.setdefault(alias, []).append(model)
    return found


def _sends_data_away(alias: str) -> bool:
    try:
        return chat_backends[alias].sends_data_away
    except InvalidChatBackend:
        return True


def _entry(alias: str) -> Mapping[str, Any]:
    entry = settings.CHAT_BACKENDS.get(alias)
    return entry if isinstance(entry, Mapping) else {}


def _pinned(alias: str) -> Iterator[Pinned]:
    entry, place = _entry(alias), f'CHAT_BACKENDS["{alias}"]'
    yield Pinned("BACKEND", str(entry.get("BACKEND", "")), place)
    for name, value in entry.get("OPTIONS", {}).items():
        yield Pinned(name, _shown(name, value), f'{place}["OPTIONS"]')
    try:
        limits = chat_backends.limits(alias)
    except BackendMisconfigured as error:
        yield Pinned("LIMITS", str(error), place)
        return
    for field in fields(limits):
        if field.name in entry.get("LIMITS", {}):
            where = f'{place}["LIMITS"]'
        elif field.name in settings.CHAT_LIMITS:
            where = "CHAT_LIMITS"
        else:
            where = _("built in")
        yield Pinned(field.name, f"{getattr(limits, field.name):,}", where)


def _shown(name: str, value: Any) -> str:
    """Return an option as anybody who may look at assistants may read it."""
    if value in (None, ""):
        return _("not set")
    shown = masked(name, value)
    return ", ".join(f"{key}: {text}" for key, text in shown.items()) or "–" if isinstance(shown, dict) else str(shown)
