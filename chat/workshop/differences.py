"""Two states of an assistant side by side, field by field, texts line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from django.core.exceptions import FieldDoesNotExist
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from chat.models import Assistant, AssistantVersion
from chat.models.versions import comparable
from chat.parameters import PARAMETERS

LINES = {"system_prompt", "stop", "starters", "adjustable", "groups"}
"""Fields that are compared line by line."""
Change = Literal["same", "added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of both sides; None where one has none there."""

    change: Change
    old: str | None
    new: str | None
    old_number: int | None = None
    new_number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field that is not the same."""

    name: str
    label: str
    old: str
    """In words, for a field of one line."""
    new: str
    lines: tuple[Line, ...] = ()
    """For a field of several lines."""


def differences(old: dict[str, Any], new: dict[str, Any], only: Iterable[str] | None = None) -> list[Difference]:
    """Return the fields that differ, in the order of the model; ``only`` these, where it is given."""
    names = list(dict.fromkeys([*new, *old]))
    before, after = comparable(old), comparable(new)
    return [
        _difference(name, old.get(name), new.get(name))
        for name in (names if only is None else [name for name in names if name in set(only)])
        if before.get(name) != after.get(name)
    ]


def changed_fields(old: AssistantVersion | None, new: AssistantVersion) -> list[str]:
    """Return the names, for people, of what a version changed; empty for a first one."""
    return [difference.label for difference in differences(old.values, new.values)] if old else []


def label_of(name: str) -> str:
    """Return what people call a field; the name itself where there is none of that name any more."""
    try:
        return capfirst(str(Assistant._meta.get_field(name).verbose_name))  # type: ignore[union-attr]
    except FieldDoesNotExist:
        return name


def _difference(name: str, old: Any, new: Any) -> Difference:
    before, after = _in_words(name, old), _in_words(name, new)
    lines = tuple(side_by_side(before, after)) if name in LINES else ()
    return Difference(name=name, label=label_of(name), old=before, new=after, lines=lines)


def _in_words(name: str, value: Any) -> str:
    if name == "groups":
        return "\n".join(str(pair[1]) for pair in value or [])
    if name == "adjustable":
        return "\n".join(str(PARAMETERS[item].label) if item in PARAMETERS else str(item) for item in value or [])
    if isinstance(value, list):
        return "\n".join(str(item) for item in value)
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    return "" if value is None else str(value)


def side_by_side(old: str, new: str) -> Iterator[Line]:
    """Yield the lines of two texts in pairs, each with what happened to it."""
    before, after = old.splitlines(), new.splitlines()
    for tag, old_from, old_to, new_from, new_to in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        height = max(old_to - old_from, new_to - new_from)
        for row in range(height):
            left, right = old_from + row, new_from + row
            has_left, has_right = left < old_to, right < new_to
            yield Line(
                _change(tag, has_left, has_right),
                before[left] if has_left else None,
                after[right] if has_right else None,
                left + 1 if has_left else None,
                right + 1 if has_right else None,
            )


def _change(tag: str, has_left: bool, has_right: bool) -> Change:
    if tag == "equal":
        return "same"
    if has_left and has_right:
        return "changed"
    return "removed" if has_left else "added"
