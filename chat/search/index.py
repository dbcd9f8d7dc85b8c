"""Which index there is: that of the site's database."""

from __future__ import annotations

from django.db import connection

from chat.search.passages import Index
from chat.search.postgresql import PostgreSQLIndex
from chat.search.sqlite import SQLiteIndex


def get_index() -> Index:
    """Return the index of the site's database."""
    return PostgreSQLIndex() if connection.vendor == "postgresql" else SQLiteIndex()
