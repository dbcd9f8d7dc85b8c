"""``manage.py engine``: what the engine service is doing, and which models it keeps loaded."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backends.exceptions import ChatBackendError
from backends.transformers.client import EngineClient
from backends.transformers.management.aliases import local_aliases, local_backend
from backends.transformers.place import configured_place

MIB = 2**20
HEADER = ("backend", "model", "state", "device", "dtype", "memory", "streams", "queue", "tokens/s", "prefix cache")


class Command(BaseCommand):
    help = "Shows what the engine service is doing, or loads and unloads a model. Never starts the service."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        status = verbs.add_parser("status", help="show all engines")
        status.add_argument("--json", action="store_true", dest="as_json", help="all figures, for programs")
        status.add_argument("--address", default="", help="of the service (CHAT_ENGINE_ADDRESS)")
        for verb, what in (
            ("load", "load the model of a backend, and wait"),
            ("unload", "end the engine of a backend"),
        ):
            verbs.add_parser(verb, help=what).add_argument("alias", help="a key of CHAT_BACKENDS")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        if verb == "status":
            figures = _run(EngineClient.status, options["address"])
            text = json.dumps(figures, indent=2) if options["as_json"] else _report(figures, local_aliases())
            self.stdout.write(text)
            return
        backend = local_backend(options["alias"])
        key = backend.engine_key()
        work = EngineClient.load if verb == "load" else EngineClient.unload
        _run(lambda client: work(client, key), backend.engine_address)
        self.stdout.write(self.style.SUCCESS(f"{backend.alias}: {backend.model} is {verb}ed"))


def _run(ask: Any, address: str) -> Any:
    """Ask the service at this address and return its answer.

    Raises:
        CommandError: no service runs there, or it could not do it.
    """
    client = EngineClient(replace(configured_place(address), may_start=False))

    async def work() -> Any:
        try:
            return await ask(client)
        finally:
            await asyncio.to_thread(client.close)

    try:
        return asyncio.run(work())
    except ChatBackendError as error:
        raise CommandError(" ".join(filter(None, [str(error), error.hint]))) from error


def _report(figures: dict[str, Any], aliases: dict[str, str]) -> str:
    head = (
        f"The engine service at {figures['address']} (process {figures['pid']}) has run for {figures['uptime']:.0f} s; "
        f"web processes: {figures['connections'] - 1}, models at once: {figures['max_models']}."
    )
    engines = figures["engines"]
    if not engines:
        return f"{head}\nNo model has been asked for."
    errors = [f"{engine['model']}: {engine['error']}" for engine in engines if engine["error"]]
    return "\n".join([head, _table([HEADER, *(_cells(engine, aliases) for engine in engines)]), *errors])


def _cells(engine: dict[str, Any], aliases: dict[str, str]) -> tuple[str, ...]:
    state = engine["state"]
    if state == "loading" and engine["progress"] is not None:
        state = f"loading {engine['progress']:.0%}"
    alias = aliases.get(engine["engine"], "–")
    if engine["state"] != "ready":
        return alias, engine["model"], state, engine["device"], engine["dtype"], *["–"] * 5
    return (
        alias,
        engine["model"],
        state,
        engine["device"],
        engine["dtype"],
        _mib(engine.get("device_bytes") or engine.get("memory_bytes")),
        f"{engine.get('active', 0)}/{engine['slots']}",
        str(engine.get("waiting", 0)),
        f"{engine.get('tokens_per_second', 0):.1f}",
        f"{_mib(engine.get('prefix_bytes'))}, {engine.get('prefix_reused_tokens', 0)} tokens reused",
    )


def _mib(size: float | None) -> str:
    return "–" if size is None else f"{size / MIB:.0f} MiB"


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
