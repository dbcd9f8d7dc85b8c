"""``manage.py train_guide``: train the built-in guide anew from guide/corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Trains the built-in guide on this machine's CPU, within 15 minutes, and prints how good it is."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", type=Path, help="a folder for the checkpoint, instead of guide/model")

    def handle(self, *args: Any, output: Path | None, **options: Any) -> None:
        # PyTorch: seconds and hundreds of megabytes that no other command should pay for
        from guide.evaluate import MODEL_DIR
        from guide.train import main

        main(output or MODEL_DIR)
