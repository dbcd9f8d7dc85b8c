from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """Folders or tags, undo of a deletion, titles."""

    dependencies = [("chat", "0003_draftpiece")]

    operations = []
