"""Who may use what, seen from a person and from a group."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.db.models import QuerySet

from backends import chat_backends
from chat import quotas
from chat.models import Assistant, Quota, User
from chat.quotas import Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Whether somebody may use an assistant, and why."""

    assistant: Assistant
    is_allowed: bool
    is_for_all: bool
    by: list[str]
    """The groups by which they may; of those who may not, the groups that they would have to be in."""


def access_of(person: User) -> list[Access]:
    """Return the assistants that there are to use, each with whether this person may; four queries."""
    usable = set(Assistant.objects.usable_by(person, chat_backends).values_list("pk", flat=True))
    own = set(person.groups.values_list("pk", flat=True))
    found = []
    for assistant in _active():
        groups = list(assistant.groups.all())
        allowed = assistant.pk in usable
        by = [group.name for group in groups if not allowed or group.pk in own]
        found.append(Access(assistant=assistant, is_allowed=allowed, is_for_all=not groups, by=by))
    return sorted(found, key=lambda access: not access.is_allowed)


def assistants_of(group: Group) -> list[Access]:
    """Return the assistants that the members of this group may use, those that are for it first; two queries."""
    found = []
    for assistant in _active():
        groups = list(assistant.groups.all())
        if not groups or group in groups:
            found.append(Access(assistant=assistant, is_allowed=True, is_for_all=not groups, by=[]))
    return sorted(found, key=lambda access: access.is_for_all)


def meters_of(person: User) -> list[Meter]:
    """Return how much is used under each rule that holds for this person, the fullest first."""
    return quotas.all_meters(person)


def quotas_of(group: Group) -> QuerySet[Quota]:
    """Return the rules for the members of this group."""
    return Quota.objects.filter(group=group, is_active=True).select_related("assistant", "group", "user")


def _active() -> QuerySet[Assistant]:
    active = Assistant.objects.filter(is_active=True, backend__in=list(chat_backends))
    return active.prefetch_related("groups").order_by("order", "name")
