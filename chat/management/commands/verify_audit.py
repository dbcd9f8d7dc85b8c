"""``manage.py verify_audit``: prove that the audit log is what was written."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chat import audit
from chat.models import AuditHead


class Command(BaseCommand):
    help = "Check the seals of the audit log. Prints the newest one; fails and names the places where it is broken."

    def handle(self, *args: Any, **options: Any) -> None:
        flaws = list(audit.verify())
        for flaw in flaws:
            self.stderr.write(self.style.ERROR(f"Entry {flaw.number}: {flaw.reason}."))
        if flaws:
            raise CommandError(f"The audit log is broken in {len(flaws)} places.")
        head = AuditHead.objects.filter(pk=1).first()
        if head is None or head.number == 0:
            self.stdout.write("The audit log is empty.")
            return
        begin = audit.anchor().number
        if begin:
            self.stdout.write(f"Entries 1 to {begin} were purged, as the log itself says ({audit.PURGED}).")
            self.stdout.write(f"Entries {begin + 1} to {head.number}, whole. Newest seal: {head.seal}")
        else:
            self.stdout.write(f"{head.number} entries, whole. Newest seal: {head.seal}")
