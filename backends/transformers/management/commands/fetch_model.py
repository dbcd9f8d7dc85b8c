"""``manage.py fetch_model gpt2``: download a local model once, so that serving never waits for a hub."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backends.exceptions import ChatBackendError
from backends.transformers.fetch import fetch_model


class Command(BaseCommand):
    help = "Downloads a model of the Hugging Face hub (safetensors only) to this machine."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", help="its name on the hub, such as gpt2")
        parser.add_argument("--revision", help="a commit, tag or branch")

    def handle(self, *args: Any, model: str, revision: str | None, **options: Any) -> None:
        try:
            path = fetch_model(model, revision)
        except ChatBackendError as error:
            raise CommandError(" ".join(filter(None, [str(error), error.hint]))) from error
        self.stdout.write(self.style.SUCCESS(f"{model} is in {path}"))
