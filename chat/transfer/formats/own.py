"""Our own format, docs/export.md: read whole, branches and all, or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _

from chat.models import Role, Status
from chat.transfer import trees
from chat.transfer.formats.reading import Reading, title_of
from chat.transfer.shape import CarriedAnswer, CarriedConversation, CarriedMessage
from chat.transfer.values import UnreadableError, count, exact, mapping, moment, name, number, sequence, word

_ENDED = {Status.COMPLETED, Status.INCOMPLETE, Status.CANCELLED, Status.FAILED}
_COST = Decimal("0.000001")
_MOST_COST = Decimal(1_000_000)


def recognises(data: dict[str, Any]) -> bool:
    messages = data.get("messages")
    return isinstance(messages, list) and "title" in data and "leaf" in data


def read(data: dict[str, Any]) -> Reading:
    """Return the conversation as it was exported.

    Raises:
        UnreadableError: it has no id or no messages, or two that are called the same.
    """
    own_id = name(data.get("id"))
    if own_id is None:
        raise UnreadableError(_("It has no id."))
    notes: list[str] = []
    nodes, mendings = trees.ordered(_nodes(sequence(data.get("messages")), notes))
    if not nodes:
        raise UnreadableError(_("It has no messages."))
    created = moment(data.get("created_at")) or next(
        (node.created_at for node in nodes if node.created_at), datetime.now(UTC)
    )
    messages = tuple(_message(node, created) for node in nodes)
    leaf = name(data.get("leaf"))
    title = exact(data.get("title"), 200)
    conversation = CarriedConversation(
        id=own_id,
        title=title if title.strip() else title_of(list(messages)),
        assistant=exact(data.get("assistant"), 50),
        is_pinned=data.get("pinned") is True,
        is_archived=data.get("archived") is True,
        created_at=created,
        updated_at=moment(data.get("updated_at")) or created,
        leaf=leaf if leaf in {message.id for message in messages} else messages[-1].id,
        messages=messages,
    )
    return Reading(conversation, notes + mendings)


def _nodes(entries: list[Any], notes: list[str]) -> list[trees.Node]:
    nodes = []
    strange = 0
    for entry in map(mapping, entries):
        own_id, role = name(entry.get("id")), entry.get("role")
        if own_id is None or role not in Role.values:
            strange += 1
            continue
        nodes.append(
            trees.Node(
                id=own_id,
                parent=name(entry.get("parent")),
                role=str(role),
                content=exact(entry.get("content")),
                created_at=moment(entry.get("created_at")),
                answer=_answer(mapping(entry.get("generation")), notes) if role == Role.ASSISTANT else None,
            )
        )
    if strange:
        notes.append(_("Messages without an id or a role that we know were left out: %d.") % strange)
    return nodes


def _message(node: trees.Node, fallback: datetime) -> CarriedMessage:
    return CarriedMessage(
        id=node.id,
        parent=node.parent,
        role=node.role,
        content=node.content,
        created_at=node.created_at or fallback,
        answer=node.answer,
    )


def _answer(facts: dict[str, Any], notes: list[str]) -> CarriedAnswer:
    status, finish_reason = word(facts.get("status", "completed")), exact(facts.get("finish_reason"), 20)
    if status not in _ENDED:
        # Nobody goes on writing it here.
        status, finish_reason = Status.INCOMPLETE, "interrupted"
        note = _("An answer that was not over was imported as an interrupted one.")
        if note not in notes:
            notes.append(note)
    return CarriedAnswer(
        status=str(status),
        finish_reason=finish_reason,
        error_code=exact(facts.get("error_code"), 40),
        assistant=exact(facts.get("assistant"), 50),
        assistant_name=exact(facts.get("assistant_name"), 80),
        backend=exact(facts.get("backend"), 80),
        model=exact(facts.get("model"), 200),
        parameters=_parameters(facts.get("parameters")),
        input_tokens=count(facts.get("input_tokens")),
        output_tokens=count(facts.get("output_tokens")),
        cost=_cost(facts.get("cost")),
        **{field: moment(facts.get(field)) for field in ("queued_at", "started_at", "first_delta_at", "finished_at")},
    )


def _cost(value: Any) -> Decimal:
    try:
        cost = Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
    return cost.quantize(_COST, ROUND_DOWN) if cost.is_finite() and 0 <= cost < _MOST_COST else Decimal(0)


def _parameters(value: Any) -> dict[str, Any]:
    """Return the parameters of a request that we know, where they can be some."""

    def either(given: Any) -> float | int | None:
        found = number(given)
        if found is None or abs(found) >= 2**63:
            return None
        return given if isinstance(given, int) else found

    def texts(given: Any) -> list[str] | None:
        found = [exact(item, 1000) for item in sequence(given)[:100] if isinstance(item, str)]
        return found or None

    known: dict[str, Callable[[Any], Any]] = {
        "temperature": either,
        "top_p": either,
        "max_output_tokens": either,
        "seed": either,
        "stop": texts,
    }
    given = mapping(value)
    return {
        key: read_one(given[key])
        for key, read_one in known.items()
        if key in given and read_one(given[key]) is not None
    }
