from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import chat.models.sharing


class Migration(migrations.Migration):
    """Shared snapshots and imports."""

    dependencies = [("chat", "0006_search")]

    operations = [
        migrations.AddField(
            model_name="generation",
            name="is_imported",
            field=models.BooleanField(default=False, editable=False, verbose_name="imported"),
        ),
        migrations.CreateModel(
            name="ImportBatch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("file_name", models.CharField(max_length=200, verbose_name="file")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("reading", "being read"),
                            ("ready", "read, not imported yet"),
                            ("importing", "being imported"),
                            ("imported", "imported"),
                            ("undoing", "being undone"),
                            ("undone", "undone"),
                        ],
                        default="reading",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("problems", models.JSONField(default=list)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="imports",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
            ],
            options={
                "verbose_name": "import",
                "verbose_name_plural": "imports",
                "ordering": ["-created_at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="Share",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "token",
                    models.CharField(default=chat.models.sharing.new_token, editable=False, max_length=64, unique=True),
                ),
                ("title", models.CharField(max_length=200, verbose_name="title")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
                (
                    "snapshot_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="snapshot of"),
                ),
                ("expires_at", models.DateTimeField(editable=False, null=True, verbose_name="expires")),
                ("revoked_at", models.DateTimeField(editable=False, null=True, verbose_name="revoked")),
                (
                    "conversation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="shares",
                        to="chat.conversation",
                        verbose_name="conversation",
                    ),
                ),
            ],
            options={
                "verbose_name": "shared link",
                "verbose_name_plural": "shared links",
                "ordering": ["-created_at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="SharedMessage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveIntegerField()),
                (
                    "role",
                    models.CharField(
                        choices=[("system", "system"), ("user", "user"), ("assistant", "assistant")], max_length=10
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=80)),
                ("content", models.TextField()),
                (
                    "share",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="messages", to="chat.share"
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
            },
        ),
        migrations.CreateModel(
            name="ImportedConversation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveIntegerField()),
                ("source", models.CharField(blank=True, max_length=20)),
                ("source_id", models.CharField(blank=True, max_length=100)),
                ("title", models.CharField(blank=True, max_length=200)),
                ("messages", models.PositiveIntegerField(default=0)),
                ("fresh", models.PositiveIntegerField(default=0)),
                ("branches", models.PositiveIntegerField(default=0)),
                (
                    "plan",
                    models.CharField(
                        choices=[
                            ("new", "New"),
                            ("more", "New messages"),
                            ("known", "Already there"),
                            ("refused", "Cannot be read"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "Not imported"),
                            ("imported", "Imported"),
                            ("failed", "Not imported"),
                            ("undone", "Undone"),
                            ("kept", "Kept"),
                        ],
                        default="",
                        max_length=8,
                    ),
                ),
                ("notes", models.JSONField(default=list)),
                ("payload", models.TextField(blank=True)),
                ("added", models.JSONField(default=list)),
                ("leaf_before", models.BigIntegerField(null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="items", to="chat.importbatch"
                    ),
                ),
                (
                    "conversation",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="chat.conversation",
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
                "indexes": [models.Index(fields=["source", "source_id"], name="import_by_source")],
                "constraints": [models.UniqueConstraint(fields=("batch", "position"), name="import_position")],
            },
        ),
        migrations.AddIndex(
            model_name="share",
            index=models.Index(fields=["expires_at"], name="share_by_expiry"),
        ),
        migrations.AddConstraint(
            model_name="sharedmessage",
            constraint=models.UniqueConstraint(fields=("share", "position"), name="shared_message_position"),
        ),
    ]
