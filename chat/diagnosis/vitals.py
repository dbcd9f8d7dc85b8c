"""How the site fares as a whole: what runs, on what, how well, and what to do where something is wrong.

Everything is measured here and now but the backends, of which the last probe is told: nobody waits for them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.db import connection
from django.template.defaultfilters import filesizeformat
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backends import chat_backends
from chat.events import open_stream_count, relay
from chat.health import missing_migrations
from chat.models import BackendState, Drain, Worker
from chat.operation import presence
from chat.operation.backend_health import Health, health

Light = Literal["good", "fair", "bad", "off"]

SLOW_DATABASE = 0.1
"""Seconds for the smallest question from which on the database is slow."""
LITTLE_DISK, HARDLY_ANY_DISK = 2**30, 200 * 2**20
"""Bytes free below which somebody has to look, and below which answers may soon not be stored."""
PACKAGES = (
    "Django",
    "django-eventstream",
    "django-allauth",
    "uvicorn",
    "openai",
    "torch",
    "transformers",
    "redis",
    "psycopg",
)

REMEDIES: dict[str, str | Promise] = {
    "authentication_failed": gettext_lazy(
        "Its server refuses the key. Put the right one into the settings and restart."
    ),
    "backend_misconfigured": gettext_lazy("An option is wrong. manage.py check says which one."),
    "backend_missing": gettext_lazy("Its class or its options cannot be used. manage.py check says why."),
    "backend_timeout": gettext_lazy("Its server does not answer in time. See whether it is overloaded or far away."),
    "backend_unavailable": gettext_lazy(
        "Its server cannot be reached. See whether it runs, and whether the address is right."
    ),
    "internal_error": gettext_lazy("The backend's own code failed. The site's log has the error."),
    "rate_limited": gettext_lazy("Its server has had too many requests. Ask for a higher limit, or use it less."),
}
"""What to do about a backend whose probe failed like this."""
_OTHERWISE = gettext_lazy("See the failed answers for the reason, and the site's log.")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing about the site."""

    name: str
    value: str
    light: Light = "good"
    remedy: str = ""
    """What to do; only where the light is not green."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendFact:
    """One backend."""

    alias: str
    label: str
    health: Health
    light: Light
    state: BackendState | None
    """What is known from probes; None before the first one."""
    is_drained: bool
    remedy: str = ""
    figures: Sequence[tuple[str, str]] = field(default_factory=tuple)

    @property
    def name(self) -> str:
        return self.label

    @property
    def is_cooling(self) -> bool:
        return self.state is not None and self.state.cooling_until is not None


@dataclass(frozen=True, slots=True)
class WorkerFact:
    """One process that writes answers."""

    worker: Worker
    is_silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """The whole."""

    facts: Sequence[Fact]
    backends: Sequence[BackendFact]
    workers: Sequence[WorkerFact]
    versions: Sequence[tuple[str, str]]

    @property
    def complaints(self) -> list[Fact | BackendFact]:
        """What is red or amber, the worst first."""
        everything: list[Fact | BackendFact] = [*self.facts, *self.backends]
        return sorted(
            (fact for fact in everything if fact.light in {"fair", "bad"}), key=lambda fact: fact.light
        )  # bad comes before fair


def examine() -> Vitals:
    """Look at everything; a handful of queries."""
    workers = [WorkerFact(worker, presence.is_silent(worker)) for worker in Worker.objects.all()]
    facts = [*_database(), _redis(workers), _disk(), _migrations(), _processes(workers), _streams()]
    return Vitals(facts=facts, backends=_backends(), workers=workers, versions=versions())


def _database() -> list[Fact]:
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        took = time.perf_counter() - began
        size = _database_size(cursor)
    number = ".".join(map(str, connection.get_database_version()))
    slow = (
        _("It is slow. See what else its machine does, and whether its disk is full.") if took > SLOW_DATABASE else ""
    )
    return [
        Fact(_("Database"), f"{connection.display_name} {number}"),
        Fact(
            _("Its answer takes"),
            _("%(number)s ms") % {"number": f"{took * 1000:.2f}"},
            "fair" if slow else "good",
            slow,
        ),
        Fact(_("Its size"), filesizeformat(size)),
    ]


def _database_size(cursor: Any) -> int:
    if connection.vendor == "postgresql":
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])
    path = Path(str(connection.settings_dict["NAME"]))
    return sum(file.stat().st_size for file in (path, Path(f"{path}-wal")) if file.is_file())


def _redis(workers: Sequence[WorkerFact]) -> Fact:
    alive = sum(not worker.is_silent for worker in workers)
    if not relay.is_wanted:
        if alive > 1:
            remedy = _(
                "There are several processes: set REDIS_URL, or pages hear only of what their own process writes."
            )
            return Fact("Redis", _("off"), "bad", remedy)
        return Fact("Redis", _("off, and not needed by one process"), "off")
    if relay.is_connected:
        return Fact("Redis", _("connected"))
    remedy = _(
        "Pages at other processes stand still until it is back. See whether it runs, and whether REDIS_URL is right."
    )
    return Fact("Redis", _("not connected"), "bad", remedy)


def _disk() -> Fact:
    usage = shutil.disk_usage(settings.VAR_DIR)
    words = _("%(free)s of %(total)s") % {"free": filesizeformat(usage.free), "total": filesizeformat(usage.total)}
    remedy = _("Make room: without any, nothing can be stored.")
    if usage.free < HARDLY_ANY_DISK:
        return Fact(_("Disk, free"), words, "bad", remedy)
    if usage.free < LITTLE_DISK:
        return Fact(_("Disk, free"), words, "fair", remedy)
    return Fact(_("Disk, free"), words)


def _migrations() -> Fact:
    missing = missing_migrations()
    if not missing:
        return Fact(_("Migrations"), _("all applied"))
    remedy = _("Run manage.py migrate, then restart the processes.")
    return Fact(_("Migrations"), _("missing: %(names)s") % {"names": ", ".join(missing)}, "bad", remedy)


def _processes(workers: Sequence[WorkerFact]) -> Fact:
    alive = [worker for worker in workers if not worker.is_silent]
    words = str(len(alive))
    if not alive:
        remedy = _("No process says that it writes answers. Start the site, or see its log.")
        return Fact(_("Processes"), words, "bad", remedy)
    if len(alive) < len(workers):
        remedy = _(
            "A process gave no more signs of life. It was killed, hangs, or cannot reach the database: see its log."
        )
        return Fact(_("Processes"), words, "fair", remedy)
    return Fact(_("Processes"), words)


def _streams() -> Fact:
    return Fact(_("Open pages at this process"), str(open_stream_count()))


_TELLING = {
    *("authentication_failed", "backend_misconfigured", "backend_missing"),
    *("backend_timeout", "backend_unavailable", "internal_error"),
}
"""Failures of a probe that an administrator is to look into, whether answers fare well or nobody asks for any."""


def _backends() -> list[BackendFact]:
    aliases = list(chat_backends)
    states = BackendState.objects.in_bulk(aliases)
    drained = set(Drain.objects.values_list("alias", flat=True))
    known = health(aliases)
    return [_backend(alias, known[alias], states.get(alias), drained) for alias in aliases]


def _backend(alias: str, known: Health, state: BackendState | None, drained: set[str]) -> BackendFact:
    lights: dict[str, Light] = {"works": "good", "unknown": "off", "shaky": "fair", "down": "bad"}
    light = lights[known.level]
    code = state.error_code if state else ""
    is_broken = code in _TELLING
    figures = state.figures if state else {}
    if light in {"good", "off"} and (is_broken or figures.get("state") == "failed"):
        light = "fair"
    remedy = ""
    if light in {"fair", "bad"}:
        remedy = str(REMEDIES.get(code, figures.get("error") or _OTHERWISE))
    return BackendFact(
        alias=alias,
        label=chat_backends.label(alias),
        health=known,
        light=light,
        state=state,
        is_drained=bool(drained & {alias, Drain.EVERYTHING}),
        remedy=remedy,
        figures=_figures(figures),
    )


def _figures(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a backend says of itself, in words."""
    told: list[tuple[str, str]] = []
    if state := figures.get("state"):
        states = {"absent": _("not loaded"), "loading": _("loading"), "ready": _("loaded"), "failed": _("failed")}
        told.append((_("Model"), states.get(str(state), str(state))))
    if device := figures.get("device"):
        told.append((_("Device"), f"{device} {figures.get('dtype', '')}".strip()))
    if memory := figures.get("device_bytes") or figures.get("memory_bytes"):
        told.append((_("Memory"), filesizeformat(memory)))
    if "active" in figures:
        told.append((_("Being written"), f"{figures['active']} / {figures.get('slots', '?')}"))
    if figures.get("waiting"):
        told.append((_("Waiting"), str(figures["waiting"])))
    if speed := figures.get("tokens_per_second"):
        told.append((_("Tokens/s"), f"{speed:.1f}"))
    if error := figures.get("error"):
        told.append((_("Error"), str(error)))
    return told


def versions() -> list[tuple[str, str]]:
    """Return what this process runs on."""
    found = [(_("This site"), commit() or _("not a checkout")), ("Python", sys.version.split()[0])]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str:
    """Return the commit that the code was checked out at when this process first asked; empty where there is none."""
    command = ["git", "-C", str(settings.BASE_DIR), "log", "-1", "--format=%h %cs"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
