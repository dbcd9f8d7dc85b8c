"""What was rehearsed becomes what people are answered with."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from chat import audit
from chat.audit import Target
from chat.models import Assistant, AssistantVersion, Authorship, Origin, Rehearsal, User, one_version
from chat.workshop.settings import DECIDING, apply_to


def newest_version(assistant_id: int | None) -> AssistantVersion | None:
    """Return what an assistant was saved as last; None where there is none."""
    return AssistantVersion.objects.filter(assistant_id=assistant_id or 0).order_by("-number").first()


def switch(rehearsal: Rehearsal, by: User, *, over: int) -> Assistant:
    """Give the assistant the rehearsed settings, as a new version; name, starters, groups and the rest stay.

    ``over`` is the version that the person saw. An answer that is being written goes on as it began.

    Raises:
        ValidationError: the assistant is gone or was changed meanwhile, or cannot be given these settings.
    """
    with transaction.atomic():
        assistant = Assistant.objects.select_for_update(no_key=True).filter(pk=rehearsal.assistant_id or 0).first()
        newest = newest_version(rehearsal.assistant_id)
        if assistant is None or newest is None:
            raise ValidationError(_("The assistant was deleted meanwhile."))
        if newest.number != over:
            raise ValidationError(_("Somebody changed the assistant a moment ago. Look at the difference again."))
        apply_to(assistant, rehearsal.candidate)
        assistant.full_clean()
        assistant.prices_set_by = by.get_username()
        with one_version(Authorship(by=by, origin=Origin.SWITCHED, source=str(rehearsal.pk))):
            assistant.save()
        Rehearsal.objects.filter(pk=rehearsal.pk).update(switched_at=timezone.now())
        target = Target(kind="assistant", id=str(assistant.pk), name=assistant.name)
        audit.append("assistant.switched", by, target, rehearsal=rehearsal.pk, fields=list(DECIDING))
    return assistant
