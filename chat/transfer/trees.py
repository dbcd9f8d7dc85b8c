"""Trees of messages as files have them: put in order, mended, and made into questions and answers."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat.transfer.shape import CarriedAnswer, CarriedMessage
from chat.transfer.values import UnreadableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A message as a file has it."""

    id: str
    parent: str | None
    role: str
    content: str = ""
    created_at: datetime | None = None
    answer: CarriedAnswer | None = None
    is_kept: bool = True
    """Whether it is to be seen; if not, what hangs below it hangs below what is above it."""


def ordered(nodes: Iterable[Node]) -> tuple[list[Node], list[str]]:
    """Return the nodes with parents before their children, otherwise as they stood, and what had to be mended.

    A name that was there before, a parent that is not there and a loop are mended, not refused.
    """
    known: dict[str, Node] = {}
    doubles = orphans = 0
    for node in nodes:
        doubles += node.id in known
        known.setdefault(node.id, node)
    for node in list(known.values()):
        if node.parent is not None and node.parent not in known:
            known[node.id] = replace(node, parent=None)
            orphans += 1
    found, loops = _by_parents(known)
    return found, _mendings(doubles, orphans, loops)


def _by_parents(known: dict[str, Node]) -> tuple[list[Node], int]:
    places = {name: place for place, name in enumerate(known)}
    children: defaultdict[str | None, list[tuple[int, Node]]] = defaultdict(list)
    for node in known.values():
        children[node.parent].append((places[node.id], node))
    found: dict[str, Node] = {}
    _descend(children[None], children, found)
    loops = 0
    for name in known:
        if name not in found:  # it hangs on a loop, which is cut once
            cut = _on_the_loop(known, name)
            _descend([(places[cut.id], replace(cut, parent=None))], children, found)
            loops += 1
    return list(found.values()), loops


def _descend(
    ready: list[tuple[int, Node]], children: dict[str | None, list[tuple[int, Node]]], found: dict[str, Node]
) -> None:
    """Add these and all below them to what was found, each after its parent, otherwise by their places."""
    heapq.heapify(ready)
    while ready:
        _place, node = heapq.heappop(ready)
        if node.id not in found:
            found[node.id] = node
            for child in children.get(node.id, []):
                heapq.heappush(ready, child)


def _on_the_loop(known: dict[str, Node], start: str) -> Node:
    """Return a node of the loop that one comes to by going up from here."""
    seen: set[str] = set()
    node = known[start]
    while node.id not in seen:
        seen.add(node.id)
        node = known[node.parent or ""]
    return node


def _mendings(doubles: int, orphans: int, loops: int) -> list[str]:
    notes = []
    if doubles:
        notes.append(ngettext("%d message was there twice.", "%d messages were there twice.", doubles) % doubles)
    if orphans:
        text = ngettext(
            "The message before %d message is missing.", "The messages before %d messages are missing.", orphans
        )
        notes.append(text % orphans)
    if loops:
        notes.append(_("Messages that answered each other in a circle were pulled apart."))
    return notes


def as_turns(nodes: list[Node], fallback: datetime) -> tuple[list[CarriedMessage], dict[str, str]]:
    """Return questions and answers of ordered nodes, and for each node the message that shows it, if there is one.

    What is not kept is left out. An answer in several steps, of an assistant and its tools, becomes one message; where
    it forks between them, one for each way. A time that is not known is that of the message before.

    Raises:
        UnreadableError: it forks so often that its messages would be many times as long as the file.
    """
    kept = {node.id: node for node in _without_hidden(nodes)}
    followers: defaultdict[str, set[str]] = defaultdict(set)
    for node in kept.values():
        if node.parent:
            followers[node.parent].add(node.role)
    room = 1_000_000 + 3 * sum(len(node.content) for node in kept.values())
    times: dict[str, datetime] = {}
    messages: list[CarriedMessage] = []
    for node in kept.values():
        times[node.id] = node.created_at or times.get(node.parent or "", fallback)
        if node.role == "assistant" and followers[node.id] == {"assistant"}:
            continue  # there is more of this answer
        steps = _steps(kept, node)
        content = "\n\n".join(step.content for step in steps if step.content)
        room -= len(content)
        if room < 0:
            raise UnreadableError(_("Its answers fork too often."))
        messages.append(
            CarriedMessage(
                id=node.id,
                parent=steps[0].parent,
                role=node.role,
                content=content,
                created_at=times[node.id],
                answer=next((step.answer for step in reversed(steps) if step.answer), None),
            )
        )
    return messages, _shown(nodes, messages)


def _steps(kept: dict[str, Node], node: Node) -> list[Node]:
    """Return the steps of an answer up to this one, or a question by itself."""
    steps = [node]
    while node.role == "assistant" and node.parent and kept[node.parent].role == "assistant":
        node = kept[node.parent]
        steps.append(node)
    return steps[::-1]


def _without_hidden(nodes: list[Node]) -> list[Node]:
    above: dict[str, str | None] = {}
    """For each node, itself if it is kept, or the nearest one above that is."""
    kept = []
    for node in nodes:
        parent = above[node.parent] if node.parent else None
        above[node.id] = node.id if node.is_kept else parent
        if node.is_kept:
            kept.append(replace(node, parent=parent))
    return kept


def _shown(nodes: list[Node], messages: list[CarriedMessage]) -> dict[str, str]:
    own = {message.id for message in messages}
    shown: dict[str, str] = {}
    for node in nodes:  # downwards: what is left out is shown by what is above it
        above = shown.get(node.parent) if node.parent else None
        if node.id in own:
            shown[node.id] = node.id
        elif above:
            shown[node.id] = above
    below: dict[str, str] = {}
    for node in reversed(nodes):  # upwards: a step of an answer, by the answer that it is part of
        end = node.id if node.id in own else below.get(node.id)
        if end and node.parent and node.role == "assistant":
            below[node.parent] = end
        if end and node.is_kept:
            shown[node.id] = end
    return shown


def newest_below(messages: list[CarriedMessage], start: str) -> str:
    """Return the newest descendant of a message, or itself: the end of the branch to show."""
    below, newest = {start}, start
    for message in messages:
        if message.parent in below:
            below.add(message.id)
            newest = message.id
    return newest
