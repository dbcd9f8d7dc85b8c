"""``manage.py drain``: let answers end before a deploy."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backends import chat_backends
from chat.models import Drain
from chat.operation import draining

LOOK_EVERY = 0.5
"""Seconds."""


class Command(BaseCommand):
    help = "Let backends take no new answers until --restore, and wait until those that they have are over."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("alias", nargs="?", default=Drain.EVERYTHING, help="One backend; all of them without this.")
        parser.add_argument("--message", default="", help="What people are told who ask meanwhile.")
        parser.add_argument("--wait", type=float, default=0, help="Seconds to wait for the answers; fails after that.")
        parser.add_argument("--restore", action="store_true", help="Let them take new answers again.")

    def handle(self, *args: Any, alias: str, message: str, wait: float, restore: bool, **options: Any) -> None:
        if alias != Drain.EVERYTHING and alias not in chat_backends:
            raise CommandError(f"settings.CHAT_BACKENDS has no alias {alias!r}.")
        if restore:
            was_drained = draining.restore(alias)
            self.stdout.write("New answers are taken again." if was_drained else "It was not drained.")
            return
        draining.drain(alias, message=message, by="manage.py drain")
        deadline = time.monotonic() + wait
        while (left := draining.unfinished(alias)) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
        if left and wait:
            raise CommandError(f"{left} answers are not over yet. New ones are refused; the next start cuts these.")
        self.stdout.write(f"No new answers are taken. {left} are not over yet.")
