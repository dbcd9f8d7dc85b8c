"""``manage.py owner_link``: the one-time link with which the owner sets up the administrator."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from chat.people.accounts import needs_owner, owner_path


class Command(BaseCommand):
    help = "Prints a link that makes the first administrator; nothing where there is one already."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="where people reach the site")

    def handle(self, *args: Any, url: str, **options: Any) -> None:
        if needs_owner():
            self.stdout.write("Open this link to make the administrator; it works once, for a day:")
            self.stdout.write(self.style.SUCCESS(f"\n    {url.rstrip('/')}{owner_path()}\n"))
        elif options["verbosity"] > 1:
            self.stdout.write("There is an administrator already: manage.py changepassword NAME, createsuperuser.")
