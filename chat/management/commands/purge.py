"""``manage.py purge``: let go what the retention rules say is over."""

from __future__ import annotations

import os
import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.retention import purging


class Command(BaseCommand):
    help = "Purge what the retention rules say is over. Interrupted, it goes on where it was when it is run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Say what would go, and change nothing.")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        if dry_run:
            self._tell()
            return
        try:
            run = purging.start(f"manage.py purge ({socket.gethostname()}:{os.getpid()})")
        except purging.AlreadyPurgingError as error:
            raise CommandError(f"Another process is purging: {error}. It is over, or anybody's, in minutes.") from error
        while not purging.step(run).is_over:
            pass
        purging.finish(run)
        for name, count in run.counts.items():
            self.stdout.write(f"{count:>9}  {name}")
        self.stdout.write("Nothing else is over." if run.counts else "Nothing is over.")

    def _tell(self) -> None:
        for planned in purging.plan():
            whom = f"of {planned.due.whom}" if planned.due.whom else "of everybody"
            self.stdout.write(f"{planned.count:>9}  {planned.due.kind.label} {whom}")
