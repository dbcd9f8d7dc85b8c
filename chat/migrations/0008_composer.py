from __future__ import annotations

from django.db import migrations, models

import chat.models.assistants


class Migration(migrations.Migration):
    """Parameters that people may change; what tells how backends fare."""

    dependencies = [("chat", "0007_sharing")]

    operations = [
        migrations.AddField(
            "assistant",
            "adjustable",
            models.JSONField(
                blank=True,
                default=list,
                help_text="Offered beside the message field.",
                validators=[chat.models.assistants.is_list_of_parameters],
                verbose_name="people may change",
            ),
        ),
        migrations.AddField(
            "conversation",
            "parameters",
            models.JSONField(blank=True, default=dict, editable=False, verbose_name="parameters"),
        ),
        migrations.AddField(
            "generation",
            "retry_at",
            models.DateTimeField(null=True, verbose_name="may be tried again"),
        ),
        migrations.AddIndex(
            "generation",
            models.Index(fields=["backend", "status", "finished_at"], name="generation_outcomes"),
        ),
    ]
