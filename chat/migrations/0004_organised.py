from __future__ import annotations

from django.conf import settings
from django.db import migrations, models
from django.db.models import deletion

COLOURS = [
    ("grey", "Grey"),
    ("green", "Green"),
    ("blue", "Blue"),
    ("amber", "Amber"),
    ("red", "Red"),
    ("purple", "Purple"),
]


class Migration(migrations.Migration):
    """Folders, undo of a deletion, who chose a title.

    Of the titles that are there nobody knows who chose them, so they count as chosen by the person and are left alone.
    """

    dependencies = [("chat", "0003_draftpiece")]

    operations = [
        migrations.CreateModel(
            name="Folder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=50, verbose_name="name")),
                ("colour", models.CharField(choices=COLOURS, default="grey", max_length=10, verbose_name="colour")),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=deletion.CASCADE,
                        related_name="folders",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
            ],
            options={"verbose_name": "folder", "verbose_name_plural": "folders", "ordering": ["name", "pk"]},
        ),
        migrations.AddConstraint(
            model_name="folder",
            constraint=models.UniqueConstraint(fields=("owner", "name"), name="folder_name_once"),
        ),
        migrations.AddField(
            model_name="conversation",
            name="deleted_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="deleted"),
        ),
        migrations.AddField(
            model_name="conversation",
            name="title_from",
            field=models.CharField(
                choices=[("words", "first words"), ("backend", "backend"), ("person", "person")],
                default="person",
                editable=False,
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="conversation",
            name="folder",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=deletion.SET_NULL,
                related_name="conversations",
                to="chat.folder",
                verbose_name="folder",
            ),
        ),
        migrations.RemoveIndex(model_name="conversation", name="conversation_newest"),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True)),
                fields=["owner", "is_archived", "-is_pinned", "-updated_at", "-id"],
                name="conversation_listed",
            ),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                fields=["folder", "is_archived", "-is_pinned", "-updated_at", "-id"], name="conversation_in_folder"
            ),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False)), fields=["deleted_at"], name="conversation_deleted"
            ),
        ),
    ]
