"""The audit log: what people did with rights over others, in a chain of sealed entries that only grows.

The seals prove that nobody changed, added or took out entries in the database without the site's secret key. Who has
the key and the database can forge a whole chain: keep a copy of the newest seal elsewhere (``manage.py verify_audit``
prints it) where that matters.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from chat.models import AuditEntry, AuditHead, User

_SALT = "chat.audit"
_SEALED = ("number", "actor_id", "actor", "action", "target_type", "target_id", "target", "concerns_id", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What somebody did something with. The name must not be made of what people wrote."""

    kind: str
    id: str
    name: str = ""
    owner_id: int | None = None


def append(action: str, actor: User | None, target: Target | None = None, **detail: Any) -> AuditEntry:
    """Write down what somebody did; in the transaction of the act, so that neither is there without the other."""
    with transaction.atomic():
        # Before the head: who changes people holds their rows first, too, and then comes here.
        if target and target.owner_id is not None and (actor is None or target.owner_id != actor.pk):
            User.objects.filter(pk=target.owner_id, has_new_looks=False).update(has_new_looks=True)
        AuditHead.objects.get_or_create(pk=1)
        head = AuditHead.objects.select_for_update().get(pk=1)
        entry = AuditEntry(
            number=head.number + 1,
            at=timezone.now(),
            actor_id=actor.pk if actor else None,
            actor=actor.username if actor else "",
            action=action,
            target_type=target.kind if target else "",
            target_id=target.id if target else "",
            target=target.name[:200] if target else "",
            concerns_id=target.owner_id if target else None,
            # As it comes back from the database, or the seal would not be the same.
            detail=json.loads(json.dumps(detail, cls=DjangoJSONEncoder)),
        )
        entry.seal = _seal(entry, head.seal, settings.SECRET_KEY)
        entry.save()
        AuditHead.objects.filter(pk=1).update(number=entry.number, seal=entry.seal)
    return entry


PURGED = "audit.purged"
"""The act of forgetting old entries: its entry has number and seal of the last one, from which the rest goes on."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The newest entry whose time was over: it and all before it were, or are being, deleted."""

    number: int
    seal: str


def anchor() -> Anchor:
    """Return where the chain begins; before the first purge, at number 0 without a seal.

    It is read from the log itself: who would move it has to seal an entry that says so.
    """
    told = AuditEntry.objects.filter(action=PURGED).order_by("-number").values_list("detail", flat=True).first()
    return Anchor(int(told["through"]), str(told["seal"])) if told else Anchor(0, "")


def forget_through(number: int) -> None:
    """Let the chain begin after this entry, and say so in the log; ``forget_some`` deletes what is before."""
    with transaction.atomic():
        AuditHead.objects.get_or_create(pk=1)
        AuditHead.objects.select_for_update().get(pk=1)
        seal = AuditEntry.objects.values_list("seal", flat=True).get(number=number)
        if anchor().number < number:
            append(PURGED, None, None, through=number, seal=seal)


def forget_some(limit: int) -> int:
    """Delete up to so many of the entries before the beginning of the chain; return how many there were."""
    through = anchor().number
    over = AuditEntry.objects.filter(number__lte=through).order_by("number")
    numbers = list(over.values_list("number", flat=True)[:limit])
    return AuditEntry.objects.filter(number__in=numbers).forget() if numbers else 0


@dataclass(frozen=True, slots=True)
class Flaw:
    """Where the chain is broken, and how."""

    number: int
    reason: str


def verify() -> Iterator[Flaw]:
    """Yield what is wrong with the chain, from its anchor on; nothing if it is whole."""
    begin = anchor()
    before, expected = begin.seal, begin.number + 1
    for entry in AuditEntry.objects.filter(number__gt=begin.number).order_by("number").iterator(chunk_size=2_000):
        if entry.number != expected:
            yield Flaw(expected, f"entries {expected} to {entry.number - 1} are missing")
        keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        if not any(hmac.compare_digest(_seal(entry, before, key), entry.seal) for key in keys):
            yield Flaw(entry.number, "it, or the one before it, is not what was written")
        before, expected = entry.seal, entry.number + 1
    head = AuditHead.objects.filter(pk=1).first()
    if head is None and expected > 1:
        yield Flaw(expected - 1, "nothing says that it is the last one")
    elif head is not None and (head.number, head.seal) != (expected - 1, before):
        yield Flaw(expected - 1, f"the last one was {head.number}")


def _seal(entry: AuditEntry, before: str, key: str | bytes) -> str:
    sealed = [getattr(entry, name) for name in _SEALED]
    text = json.dumps([before, entry.at.timestamp(), *sealed], sort_keys=True, ensure_ascii=True, cls=DjangoJSONEncoder)
    return salted_hmac(_SALT, text, secret=key, algorithm="sha256").hexdigest()
