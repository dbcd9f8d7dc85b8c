from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """What people think of an answer; answers that a fork copied."""

    dependencies = [("chat", "0004_organised")]

    operations = [
        migrations.AddField(
            "generation", "is_copy", models.BooleanField(default=False, editable=False, verbose_name="copy")
        ),
        migrations.CreateModel(
            "Feedback",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("value", models.SmallIntegerField(choices=[(1, "good"), (-1, "bad")], verbose_name="rating")),
                ("reasons", models.JSONField(blank=True, default=list, verbose_name="reasons")),
                ("comment", models.TextField(blank=True, verbose_name="comment")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="updated"),
                ),
                (
                    "message",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="feedback",
                        to="chat.message",
                        verbose_name="message",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="feedback",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            {
                "verbose_name": "feedback",
                "verbose_name_plural": "feedback",
                "ordering": ["-updated_at"],
                "indexes": [models.Index(fields=["-updated_at"], name="feedback_newest")],
                "constraints": [
                    models.UniqueConstraint(fields=("message", "person"), name="one_feedback_a_person"),
                ],
            },
        ),
    ]
