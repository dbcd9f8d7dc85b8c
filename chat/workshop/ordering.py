"""The order of assistants in every list: moved one at a time, or a whole list at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from django.db import transaction

from chat import audit
from chat.audit import Target
from chat.models import Assistant, User

Direction = Literal["up", "down"]


def arrange(wanted: Sequence[int], by: User) -> bool:
    """Put these assistants into this order, in the places that they have together; the others stay where they are.

    All or nothing; of two who do it at the same moment, the later one's order holds. What was deleted meanwhile is
    skipped. False where nothing had to change.
    """
    with transaction.atomic():
        before = _held()
        chosen = [pk for pk in dict.fromkeys(wanted) if pk in before]
        places = iter(chosen)
        after = [next(places) if pk in set(chosen) else pk for pk in before]
        return _store(before, after, by)


def move(pk: int, direction: Direction, by: User) -> bool:
    """Let the assistant change places with its neighbour; False where it has none, or is gone."""
    with transaction.atomic():
        before = _held()
        if pk not in before:
            return False
        old = before.index(pk)
        new = old - 1 if direction == "up" else old + 1
        if not 0 <= new < len(before):
            return False
        after = list(before)
        after[old], after[new] = after[new], after[old]
        return _store(before, after, by)


def _held() -> list[int]:
    """Return all assistants in their order, held until the end of the transaction."""
    # Held in the order in which others hold them; read once nobody else can change it.
    list(Assistant.objects.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    return list(Assistant.objects.order_by("order", "name", "pk").values_list("pk", flat=True))


def _store(before: list[int], after: list[int], by: User) -> bool:
    if before == after:
        return False
    assistants = {assistant.pk: assistant for assistant in Assistant.objects.filter(pk__in=after)}
    for place, pk in enumerate(after):
        assistants[pk].order = place
    Assistant.objects.bulk_update(assistants.values(), ["order"])
    names = [assistants[pk].name for pk in after]
    audit.append("assistant.ordered", by, Target(kind="assistant", id="", name=""), order=names)
    return True
