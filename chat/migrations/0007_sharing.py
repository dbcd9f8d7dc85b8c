from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """Shared snapshots and imports."""

    dependencies = [("chat", "0006_search")]

    operations = []
