"""The backends of the settings: how each fares now. Its health, which others read too, and one query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from backends import chat_backends
from chat.models import Drain
from chat.operation.backend_health import health
from chat.wording import health_words

Level = Literal["unknown", "works", "shaky", "down", "drained"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """How one fares."""

    alias: str
    label: str
    level: Level
    words: str
    running: int
    waiting: int
    drained: str | None
    """What people are told while it takes no new answers; None where it takes some."""


def backends(numbers: Mapping[str, tuple[int, int]]) -> list[Backend]:
    """Return all of them, in the order of the settings; with how many answers each writes and lets wait."""
    aliases = list(chat_backends)
    known = health(aliases)
    drains = dict(Drain.objects.values_list("alias", "message"))
    everything = drains.get(Drain.EVERYTHING)
    found = []
    for alias in aliases:
        drained = drains.get(alias, everything)
        written, waiting = numbers.get(alias, (0, 0))
        found.append(
            Backend(
                alias=alias,
                label=chat_backends.label(alias),
                level="drained" if drained is not None else known[alias].level,
                words=health_words(known[alias]),
                running=written,
                waiting=waiting,
                drained=drained,
            )
        )
    return found
