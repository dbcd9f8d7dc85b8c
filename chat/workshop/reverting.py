"""An older version of an assistant again."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from chat import audit
from chat.audit import Target
from chat.models import Assistant, AssistantVersion, Authorship, Origin, User, one_version


def revert(assistant: Assistant, version: AssistantVersion, by: User) -> list[str]:
    """Make the assistant what it was, as a new version; return the names of groups that are no more.

    Raises:
        ValidationError: it cannot be that any more; its backend is gone from the settings, for instance.
    """
    groups = [pair[0] for pair in version.values.get("groups", [])]
    found = list(Group.objects.filter(pk__in=groups))
    missing = [pair[1] for pair in version.values.get("groups", []) if pair[0] not in {group.pk for group in found}]
    if groups and not found:
        # Without any group, everybody could use it.
        raise ValidationError(_("None of the groups that could use it is left: %s.") % ", ".join(missing))
    put_back(assistant, version.values)
    assistant.full_clean()
    assistant.prices_set_by = by.get_username()
    with transaction.atomic():
        with one_version(Authorship(by=by, origin=Origin.REVERTED, source=str(version.number))):
            assistant.save()
            assistant.groups.set(found)
        target = Target(kind="assistant", id=str(assistant.pk), name=assistant.name)
        audit.append("assistant.reverted", by, target, version=version.number)
    return missing


def put_back(assistant: Assistant, values: dict[str, Any]) -> None:
    """Give the assistant the values of a version, groups aside; fields that are no more are left out."""
    for name, value in values.items():
        try:
            field = Assistant._meta.get_field(name)
        except FieldDoesNotExist:
            continue
        if field.concrete and not field.many_to_many and not field.primary_key:
            is_json = field.get_internal_type() == "JSONField"
            setattr(assistant, field.attname, value if is_json else field.to_python(value))
