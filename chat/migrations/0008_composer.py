from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """Parameters that people may change."""

    dependencies = [("chat", "0007_sharing")]

    operations = []
