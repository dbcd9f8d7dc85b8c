"""``manage.py rebuild_search``: enter in the search index what is not in it, or everything anew."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from chat.models import Message
from chat.search import add_missing, clear_index, optimize_index


class Command(BaseCommand):
    help = "Enter in the search index what is not in it yet. Interrupted, it goes on where it was when it is run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--fresh", action="store_true", help="forget the index first; meanwhile less is found")
        parser.add_argument("--batch", type=int, default=500, help="messages in one transaction (default 500)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["fresh"]:
            clear_index()
        total, seen, entered, after, said = Message.objects.count(), 0, 0, 0, time.monotonic()
        while pks := self._next(after, max(1, options["batch"])):
            entered += add_missing(pks)
            seen, after = seen + len(pks), pks[-1]
            if time.monotonic() - said > 5:
                said = time.monotonic()
                self.stdout.write(f"{seen} of {total} messages")
        optimize_index()
        self.stdout.write(f"{seen} messages looked at, {entered} messages and titles entered.")

    def _next(self, after: int, count: int) -> list[int]:
        newer = Message.objects.filter(pk__gt=after).order_by("pk")
        return list(newer.values_list("pk", flat=True)[:count])
