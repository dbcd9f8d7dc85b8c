"""``manage.py check_backends``: ask each configured backend for one short answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backends import ChatMessage, ChatRequest, Finish, InvalidChatBackend, TextDelta, chat_backends
from backends.exceptions import ChatBackendError

PROMPT = "Say hello."


@dataclass(frozen=True, slots=True)
class Result:
    """What one backend answered."""

    alias: str
    reachable: bool
    first_delta_ms: float | None = None
    tokens_per_second: float | None = None
    error: str = ""
    hint: str = ""

    def cells(self) -> tuple[str, ...]:
        first = "–" if self.first_delta_ms is None else f"{self.first_delta_ms:.0f}"
        speed = "–" if self.tokens_per_second is None else f"{self.tokens_per_second:.1f}"
        return self.alias, "yes" if self.reachable else "NO", first, speed, self.error, self.hint


class Command(BaseCommand):
    help = "Asks each backend of CHAT_BACKENDS for one short answer and prints a table; exits with 1 if one fails."
    requires_system_checks = []  # a wrong backend gets a row, not an end

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("alias", nargs="*", help="only these backends")
        parser.add_argument("--timeout", type=float, default=120, help="seconds for one backend, loading included")

    def handle(self, *args: Any, alias: list[str], timeout: float, **options: Any) -> None:
        if unknown := [name for name in alias if name not in chat_backends]:
            raise CommandError(f"CHAT_BACKENDS has no {unknown[0]!r}; it has: {', '.join(chat_backends) or 'none'}.")
        results = asyncio.run(_ask_all(alias or list(chat_backends), timeout))
        self.stdout.write(_table([result.cells() for result in results]))
        if not all(result.reachable for result in results):
            raise CommandError("Not every backend answered.", returncode=1)


async def _ask_all(aliases: list[str], timeout: float) -> list[Result]:
    # One after the other: local models would share the processor, and the figures would say little.
    return [await _ask(alias, timeout) for alias in aliases]


async def _ask(alias: str, timeout: float) -> Result:
    try:
        backend = chat_backends[alias]
    except InvalidChatBackend as error:
        return Result(alias, reachable=False, error=str(error), hint="manage.py check says more.")
    request = ChatRequest(messages=(ChatMessage("user", PROMPT),), max_output_tokens=32)
    try:
        async with asyncio.timeout(timeout), aclosing(backend.stream(request)) as stream:
            return await _measure(alias, stream)
    except TimeoutError:
        return Result(alias, reachable=False, error=f"No answer in {timeout:g} s.", hint="--timeout waits longer.")
    except ChatBackendError as error:
        return Result(alias, reachable=False, error=str(error), hint=error.hint)
    except Exception as error:  # noqa: BLE001 - a plugin that breaks the contract gets a row that says so
        return Result(
            alias,
            reachable=False,
            error=f"{type(error).__name__}: {error}",
            hint="The backend raises what the contract does not allow.",
        )
    finally:
        await backend.aclose()


async def _measure(alias: str, stream: Any) -> Result:
    began = time.perf_counter()
    first: float | None = None
    deltas = 0
    finish: Finish | None = None
    async for event in stream:
        if isinstance(event, TextDelta):
            first = first if first is not None else time.perf_counter()
            deltas += 1
        elif isinstance(event, Finish):
            finish = event
    ended = time.perf_counter()
    if finish is None or first is None:
        return Result(alias, reachable=False, error="It answered without text or without an end.")
    tokens = finish.usage.output_tokens if finish.usage else deltas
    speed = (tokens - 1) / (ended - first) if tokens > 1 and ended > first else None
    return Result(alias, reachable=True, first_delta_ms=(first - began) * 1000, tokens_per_second=speed)


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = [("alias", "reachable", "first delta ms", "tokens/s", "error", "hint"), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
