"""``manage.py rebuild_rollups``: add up the usage records anew."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from chat import rollups


class Command(BaseCommand):
    help = "Add up usage by hours and days anew from the usage records, after a change of TIME_ZONE for instance."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{rollups.rebuild()} usage records added up.")
