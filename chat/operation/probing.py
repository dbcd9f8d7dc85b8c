"""Probes: each backend is asked now and then whether it is there and which models it has, in the background.

No page ever waits for a backend: pages read what the last probe wrote down. One process makes each probe, whoever is
first to move ``BackendState.next_probe_at`` on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from backends import chat_backends
from backends.exceptions import ChatBackendError
from chat.models import BackendState
from chat.operation import cooling
from chat.storable import storable

logger = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that a backend has for a probe."""
MOST_MODELS = 1_000
"""Models of one backend that are remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a probe found."""

    alias: str
    begun_at: datetime
    latency_ms: int
    models: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    tells: bool = False
    """Whether it says anything of how answers will fare."""
    error_code: str = ""
    error_detail: str = ""


def listed() -> Mapping[str, Sequence[str]]:
    """Return the models that each backend listed when it was last asked with success."""
    return dict(BackendState.objects.values_list("alias", "listed"))


def probe_soon(aliases: Collection[str] | None = None) -> None:
    """Let these backends, or all, be probed as soon as a process comes to it: within a second or two."""
    aliases = list(chat_backends if aliases is None else aliases)
    _know(aliases, now := timezone.now())
    BackendState.objects.filter(alias__in=aliases).update(next_probe_at=now)


def claim_due(worker: str) -> list[str]:
    """Return the backends whose probe is due and that this process is to make: no other one makes it."""
    if settings.CHAT_PROBE_INTERVAL <= 0:
        return []
    now = timezone.now()
    known = dict(BackendState.objects.filter(alias__in=list(chat_backends)).values_list("alias", "next_probe_at"))
    if missing := set(chat_backends) - known.keys():
        _know(missing, now)
        known |= dict.fromkeys(missing, now)
    due = [alias for alias, at in known.items() if at <= now]
    next_at = now + timedelta(seconds=settings.CHAT_PROBE_INTERVAL)
    ours = BackendState.objects.filter(next_probe_at__lte=now)
    return [alias for alias in due if ours.filter(alias=alias).update(next_probe_at=next_at, prober=worker) == 1]


async def probe(alias: str) -> None:
    """Ask the backend and write down what it says; never raises because of what it says."""
    finding = await _find(alias)
    await sync_to_async(_record)(finding)


async def _find(alias: str) -> Finding:
    begun_at, began = timezone.now(), time.monotonic()
    found: dict[str, Any] = {}
    # Not asyncio.timeout(): a plugin that swallows its cancellation would keep us.
    asking = asyncio.create_task(_ask(alias, found))
    done, _ = await asyncio.wait({asking}, timeout=PATIENCE)
    if not done:
        asking.cancel()
        found |= {"error_code": "backend_timeout", "error_detail": f"No answer within {PATIENCE:.0f} s."}
    return Finding(alias=alias, begun_at=begun_at, latency_ms=round((time.monotonic() - began) * 1000), **found)


async def _ask(alias: str, found: dict[str, Any]) -> None:
    try:
        backend = chat_backends[alias]
        found["tells"] = backend.list_models_tells
        found["models"] = tuple(storable(str(name)) for name in (await backend.list_models())[:MOST_MODELS])
        found["figures"] = _plain(await backend.status())
    except ChatBackendError as error:
        found |= {"error_code": error.code, "error_detail": " ".join(filter(None, [str(error), error.hint]))}
    except Exception as error:
        # A plugin may raise anything.
        logger.exception("The probe of backend %s failed", alias)
        found |= {"error_code": "internal_error", "error_detail": type(error).__name__}


def _record(finding: Finding) -> None:
    close_old_connections()
    values: dict[str, Any] = {
        "probed_at": timezone.now(),
        "latency_ms": finding.latency_ms,
        "error_code": finding.error_code,
        "error_detail": storable(finding.error_detail),
    }
    if not finding.error_code:
        values |= {"listed": finding.models, "listed_at": values["probed_at"], "figures": finding.figures}
        if finding.tells:
            values["told_at"] = values["probed_at"]
    row = BackendState.objects.get(alias=finding.alias)
    BackendState.objects.filter(alias=finding.alias).update(**values)
    if finding.error_code and not row.error_code:
        logger.warning("The probe of backend %s failed: %s", finding.alias, finding.error_detail)
    # A server without a list of models fails each time and says nothing by it: only one that once gave one does.
    if finding.tells and (not finding.error_code or (row.told_at and cooling.is_outage(finding.error_code))):
        cooling.note_probe(finding.alias, finding.begun_at, is_good=not finding.error_code)


def _plain(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the figures that every database can hold."""
    texts = {name: storable(value) for name, value in figures.items() if isinstance(value, str)}
    numbers = {name: value for name, value in figures.items() if isinstance(value, int | float) and isfinite(value)}
    return texts | numbers


def _know(aliases: Collection[str], now: datetime) -> None:
    rows = [BackendState(alias=alias, next_probe_at=now) for alias in aliases]
    BackendState.objects.bulk_create(rows, ignore_conflicts=True)
