from __future__ import annotations

from django.db import migrations

SQLITE = ["CREATE VIRTUAL TABLE chat_search USING fts5(grams, content='', detail=none, tokenize='ascii')"]
POSTGRESQL = [
    "CREATE TABLE chat_search (id bigint PRIMARY KEY, owner_id bigint NOT NULL, grams integer[] NOT NULL)",
    "CREATE INDEX chat_search_newest ON chat_search (owner_id, id)",
    # Without a list of what is yet to be entered: each search would read it whole.
    "CREATE INDEX chat_search_grams ON chat_search USING gin (grams) WITH (fastupdate = off)",
]


def create(apps, schema_editor):
    """Make the index, empty: what there is already is entered by the running site, or by ``rebuild_search``."""
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


def drop(apps, schema_editor):
    schema_editor.execute("DROP TABLE chat_search")


class Migration(migrations.Migration):
    """The search index: no model, because it is not the same kind of table on every database."""

    dependencies = [("chat", "0005_feedback")]

    operations = [migrations.RunPython(create, drop)]
