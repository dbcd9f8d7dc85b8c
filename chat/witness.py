"""What the audit log is told of without anybody telling it: log-ins, and what is changed in the admin."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save
from django.http import HttpRequest

from chat import audit
from chat.audit import Target
from chat.models import User

_ACTIONS = {ADDITION: "admin.added", CHANGE: "admin.changed", DELETION: "admin.deleted"}
_NAMED = {"assistant", "user", "group", "quota", "drain", "price", "retentionrule", "legalhold"}
"""Kinds of things whose names nobody wrote in a message."""


def watch() -> None:
    """Begin to listen; harmless when repeated."""
    user_logged_in.connect(_logged_in, dispatch_uid="audit")
    user_logged_out.connect(_logged_out, dispatch_uid="audit")
    user_login_failed.connect(_login_failed, dispatch_uid="audit")
    post_save.connect(_administrated, sender=LogEntry, dispatch_uid="audit")


def tell_all(entries: Iterable[LogEntry]) -> None:
    """Write down what the admin logged of many things at once, for which it sends no signal."""
    for entry in entries:
        _administrated(LogEntry, entry, created=True)


def _logged_in(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    audit.append("login", cast("User", user))


def _logged_out(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    if user is not None:
        audit.append("logout", cast("User", user))


def _login_failed(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:
    # What was typed may be a password in the wrong field: told is only whose account it was, if it was anybody's.
    name = str(credentials.get("username") or credentials.get("login") or credentials.get("email") or "")
    user = (
        User.objects.filter(username=name).first() or User.objects.filter(email__iexact=name).first() if name else None
    )
    audit.append("login.failed", None, Target(kind="user", id=str(user.pk), name=user.username) if user else None)


def _administrated(sender: Any, instance: LogEntry, created: bool, **kwargs: Any) -> None:
    if not created or instance.content_type is None:
        return
    kind = instance.content_type.model
    name = instance.object_repr if kind in _NAMED else ""
    target = Target(kind=kind, id=str(instance.object_id or ""), name=name)
    actor = User.objects.filter(pk=instance.user_id).first()
    audit.append(_ACTIONS[instance.action_flag], actor, target, fields=_fields(instance.change_message))


def _fields(message: str) -> list[str]:
    """Return the names of the fields that the admin says were changed, and nothing of their values."""
    try:
        told = json.loads(message or "[]")
    except ValueError:
        return []
    parts = [part.get("changed", {}) for part in told if isinstance(part, dict)]
    return sorted({str(field) for part in parts for field in part.get("fields", [])})
