"""``manage.py runengine``: the engine service, as a program of its own."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backends.exceptions import ChatBackendError
from backends.transformers.address import ALREADY_RUNNING, parse_address
from backends.transformers.management.aliases import local_backend
from backends.transformers.place import configured_place
from backends.transformers.service.listening import AlreadyRunning
from backends.transformers.service.server import ServiceOptions, serve


class Command(BaseCommand):
    help = "Runs the engine service, which loads the local models and answers for all web processes of this machine."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--address", default="", help="unix:/path or tcp:host:port (CHAT_ENGINE_ADDRESS)")
        parser.add_argument("--max-models", type=int, help="models that are loaded at once (CHAT_ENGINE_MAX_MODELS)")
        parser.add_argument("--preload", nargs="+", metavar="ALIAS", default=[], help="models to load at the start")

    def handle(self, *args: Any, address: str, max_models: int | None, preload: list[str], **options: Any) -> None:
        place = configured_place(address)
        most = place.max_models if max_models is None else max_models
        if most < max(len(preload), 1):
            raise CommandError(f"--max-models {most} is too few.")
        try:
            service = ServiceOptions(
                address=parse_address(place.address),
                token=place.token,
                max_models=most,
                preload=tuple(local_backend(alias).engine_key() for alias in preload),
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        self._log_to_stdout()
        try:
            asyncio.run(serve(service))
        except AlreadyRunning as error:
            raise CommandError(str(error), returncode=ALREADY_RUNNING) from error
        except ChatBackendError as error:
            raise CommandError(f"{error} {error.hint}") from error
        except OSError as error:
            raise CommandError(f"The engine service cannot listen at {place.address}: {error}") from error

    def _log_to_stdout(self) -> None:
        """Show on stdout what the service does."""
        handler = logging.StreamHandler(self.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger = logging.getLogger("backends.transformers")
        logger.addHandler(handler)
        logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
        logger.propagate = False
