"""What every page needs and hardly ever changes: read once in a while, and kept in this process meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save

T = TypeVar("T")

SECONDS = 15.0
"""After which another process hears of a change; the one that made it, at once."""

_all: list[Remembered[Any]] = []


class Remembered(Generic[T]):
    """A value made of a few small tables: no query while it is fresh."""

    def __init__(self, load: Callable[[], T]) -> None:
        self._load = load
        self._kept: tuple[float, T] | None = None
        _all.append(self)

    def get(self) -> T:
        """Return the value, no older than ``SECONDS`` and than what this process changed."""
        kept, now = self._kept, time.monotonic()
        if kept is None or now - kept[0] > SECONDS:
            kept = self._kept = (now, self._load())
        return kept[1]

    def forget(self, *args: Any, **kwargs: Any) -> None:
        """Read it anew next time; also a receiver of signals."""
        self._kept = None

    def made_of(self, *models: type[Model]) -> None:
        """Forget it whenever a row of these models is stored or deleted."""
        for model in models:
            post_save.connect(self.forget, sender=model)
            post_delete.connect(self.forget, sender=model)
            for field in model._meta.many_to_many:
                m2m_changed.connect(self.forget, sender=field.remote_field.through)


def forget_all() -> None:
    """Forget everything: the database is another one now, in a test."""
    for one in _all:
        one.forget()
