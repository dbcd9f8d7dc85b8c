from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """The search index."""

    dependencies = [("chat", "0005_feedback")]

    operations = []
