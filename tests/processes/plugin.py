"""What a test run on PostgreSQL needs beside: a database that somebody is connected to cannot be dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from django.db.backends.signals import connection_created

_opened: list[tuple[threading.Thread, psycopg.Connection]] = []


@pytest.fixture(scope="session", autouse=True)
def _no_connection_is_left(django_db_setup: None) -> Iterator[None]:
    """Close what the threads of tests leave open: those of ``asyncio.to_thread``, and asgiref's common one."""

    def note(connection, **kwargs: object) -> None:
        if connection.connection is not None:
            _opened.append((threading.current_thread(), connection.connection))

    connection_created.connect(note)
    yield
    connection_created.disconnect(note)
    for thread, connection in _opened:
        if thread is not threading.main_thread():
            connection.close()


@pytest.fixture(autouse=True)
def _no_dead_thread_is_connected() -> Iterator[None]:
    """Do so after each test, where the thread is gone."""
    yield
    for thread, connection in _opened:
        if not thread.is_alive():
            connection.close()
