from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """What people think of an answer."""

    dependencies = [("chat", "0004_organised")]

    operations = []
