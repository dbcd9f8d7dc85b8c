from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("chat", "0012_assistants")]

    operations: list = []
