"""What assistants were: every saved state of each, who made it, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.querysets import AppendOnlyError, AppendOnlyQuerySet

if TYPE_CHECKING:
    from chat.models.assistants import Assistant
    from chat.models.people import User

NOT_KEPT = {"id", "order"}
"""The place in the list is no property of one assistant: to move one moves others, too."""


class Origin(models.TextChoices):
    """How a version came to be."""

    FOUND = "found", _("found as it was")
    ADMIN = "admin", _("changed in the administration")
    OUTSIDE = "outside", _("changed outside the administration")
    REVERTED = "reverted", _("an older version was restored")
    SWITCHED = "switched", _("a rehearsed change was applied")


class AssistantVersion(models.Model):
    """An assistant as it was saved once. It never changes, and stays when the assistant is deleted."""

    assistant_id = models.BigIntegerField()
    """No foreign key: it outlives the assistant."""
    number = models.PositiveIntegerField(_("version"))
    """1, 2, 3 … of each assistant."""
    at = models.DateTimeField(_("when"), default=timezone.now)
    by_id = models.BigIntegerField(_("who (id)"), null=True)
    by = models.CharField(_("who"), max_length=150, blank=True)
    """The username at that time; empty where it was no request of anybody, a command for instance."""
    origin = models.CharField(_("how"), max_length=10, choices=Origin, default=Origin.OUTSIDE)
    source = models.CharField(max_length=40, blank=True)
    """Of what it was made: the number of the version that was restored, or of the rehearsal."""
    values = models.JSONField()
    """By the names of the fields; groups as pairs of id and name."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        default_permissions = ()  # who may look at assistants may look at what they were
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["assistant_id", "number"], name="one_version")]
        verbose_name = _("version of an assistant")
        verbose_name_plural = _("versions of assistants")

    def __str__(self) -> str:
        return f"{self.values.get('name', '')} {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store a new version.

        Raises:
            AppendOnlyError: it is stored already.
        """
        if not self._state.adding:
            raise AppendOnlyError("A version never changes.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse.

        Raises:
            AppendOnlyError: always.
        """
        raise AppendOnlyError("A version is never deleted.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorship:
    """Who makes the changes of a block, and how."""

    by: User | None = None
    origin: Origin = Origin.ADMIN
    source: str = ""


_author: ContextVar[tuple[Authorship, set[int]] | None] = ContextVar("author", default=None)


@contextmanager
def one_version(authorship: Authorship) -> Iterator[None]:
    """Make one version of all that is saved of an assistant in the block, in one transaction, under this name."""
    touched: set[int] = set()
    with transaction.atomic():
        token = _author.set((authorship, touched))
        try:
            yield
        finally:
            _author.reset(token)
        for pk in sorted(touched):
            _keep(pk, authorship)


def keep_version(pk: int) -> None:
    """Keep what the assistant is now as a version, unless its newest one says the same."""
    gathered = _author.get()
    if gathered:
        gathered[1].add(pk)
    else:
        _keep(pk, Authorship(origin=Origin.OUTSIDE))


def _keep(pk: int, authorship: Authorship) -> None:
    from chat.models.assistants import Assistant

    with transaction.atomic():
        # Held, so that two who save at the same moment get one number each.
        assistant = Assistant.objects.select_for_update(no_key=True).filter(pk=pk).first()
        if assistant is None:
            return
        values = values_of(assistant)
        newest = AssistantVersion.objects.filter(assistant_id=pk).order_by("-number").first()
        if newest and comparable(newest.values) == comparable(values):
            return
        AssistantVersion.objects.create(
            assistant_id=pk,
            number=newest.number + 1 if newest else 1,
            by_id=authorship.by.pk if authorship.by else None,
            by=authorship.by.username if authorship.by else "",
            origin=authorship.origin,
            source=authorship.source,
            values=values,
        )


def values_of(assistant: Assistant) -> dict[str, Any]:
    """Return all of a stored assistant that a version keeps, as JSON can hold it."""
    fields = [field for field in assistant._meta.concrete_fields if field.name not in NOT_KEPT]
    values = {field.name: _plain(field.value_from_object(assistant)) for field in fields}
    values["groups"] = [list(pair) for pair in assistant.groups.order_by("pk").values_list("pk", "name")]
    return values


def comparable(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values without what changes by itself: the names of groups."""
    return {**values, "groups": _ids(values.get("groups", []))}


def _ids(groups: Iterable[Any]) -> list[int]:
    return sorted(pair[0] for pair in groups)


def _plain(value: Any) -> Any:
    # Prices are decimals.
    return value if value is None or isinstance(value, bool | int | float | str | list | dict) else str(value)
