"""Open WebUI's export of chats: a list of them, each with a tree in ``chat.history`` or, in old ones, a list.

``history.messages`` maps an id to a message with ``parentId`` and ``childrenIds``; ``currentId`` is the end of what is
shown. A question to several models has several answers, which become branches.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from chat.models import Status
from chat.transfer import trees
from chat.transfer.formats.reading import Foreign, Reading, reading_of
from chat.transfer.shape import CarriedAnswer
from chat.transfer.values import mapping, moment, name, sequence, text, word

_DETAILS = re.compile(r'<details\b[^<>]{0,500}\btype="(reasoning|tool_calls|code_interpreter|code_execution)"[^<>]*>')
_END = "</details>"


def recognises(data: dict[str, Any]) -> bool:
    chat = data.get("chat") if isinstance(data.get("chat"), dict) else data
    has_tree = isinstance(mapping(mapping(chat).get("history")).get("messages"), dict)
    return has_tree or (chat is not data and isinstance(mapping(chat).get("messages"), list))


def read(data: dict[str, Any]) -> Reading:
    """Return the chat with its branches.

    Raises:
        UnreadableError: there is nothing in it to show.
    """
    chat = mapping(data.get("chat")) or data
    left_out: Counter[str] = Counter()
    models = [text(model, 200) for model in sequence(chat.get("models")) if isinstance(model, str)]
    history = mapping(chat.get("history"))
    tree = mapping(history.get("messages"))
    if tree:
        nodes = [_node(key, mapping(entry), models, left_out) for key, entry in tree.items()]
        current = name(history.get("currentId"))
    else:
        nodes = _linear(sequence(chat.get("messages")), models, left_out)
        current = nodes[-1].id if nodes else None
    foreign = Foreign(
        id=name(data.get("id")) or name(chat.get("id")),
        title=(text(data.get("title"), 200) or text(chat.get("title"), 200)).strip(),
        nodes=nodes,
        current=current,
        created_at=moment(data.get("created_at")) or moment(chat.get("timestamp")),
        updated_at=moment(data.get("updated_at")),
        is_pinned=data.get("pinned") is True,
        is_archived=data.get("archived") is True,
        notes=[],
    )
    reading = reading_of(foreign)
    reading.notes.extend(_notes(left_out))
    return reading


def _linear(entries: list[Any], models: list[str], left_out: Counter[str]) -> list[trees.Node]:
    nodes: list[trees.Node] = []
    for place, entry in enumerate(map(mapping, entries)):
        own_id = name(entry.get("id")) or f"message-{place}"
        nodes.append(_node(own_id, {**entry, "parentId": nodes[-1].id if nodes else None}, models, left_out))
    return nodes


def _node(key: str, entry: dict[str, Any], models: list[str], left_out: Counter[str]) -> trees.Node:
    role = word(entry.get("role"))
    when = moment(entry.get("timestamp"))
    content = _content(entry, left_out) if role in {"user", "assistant"} else ""
    if role == "system":
        left_out["system"] += 1
    # An answer that failed or was never begun is one all the same: the question after it hangs below it.
    is_kept = bool(content) or role == "assistant"
    return trees.Node(
        id=name(key) or "?",
        parent=name(entry.get("parentId")),
        role="assistant" if role == "assistant" else "user",
        content=content,
        created_at=when,
        answer=_answer(entry, models, when) if role == "assistant" else None,
        is_kept=is_kept,
    )


def _content(entry: dict[str, Any], left_out: Counter[str]) -> str:
    content = entry.get("content")
    if isinstance(content, list):  # as OpenAI's API has it
        body = "\n\n".join(text(mapping(part).get("text")) for part in content)
    else:
        body = text(content)
    files = []
    for file in map(mapping, sequence(entry.get("files"))):
        left_out["files"] += 1
        file_name = text(file.get("name"), 200) or text(mapping(file.get("file")).get("filename"), 200)
        files.append(_("[A file that was not imported: %s]") % (file_name or _("without a name")))
    return "\n\n".join(filter(None, [*files, _without_details(body, left_out).strip()]))


def _without_details(body: str, left_out: Counter[str]) -> str:
    """Return the text without the folded parts that the program writes into it: thoughts, calls of tools."""
    parts = []
    place = 0
    while match := _DETAILS.search(body, place):
        end = body.find(_END, match.end())
        if end < 0:  # not closed: it was cut there
            break
        parts.append(body[place : match.start()])
        left_out["thoughts" if match[1] == "reasoning" else "steps"] += 1
        place = end + len(_END)
    return "".join([*parts, body[place:]])


def _answer(entry: dict[str, Any], models: list[str], when: datetime | None) -> CarriedAnswer:
    model = text(entry.get("model"), 200) or (models[0] if len(models) == 1 else "")
    failed = bool(entry.get("error"))
    is_over = entry.get("done") is not False and not failed
    status = Status.COMPLETED if is_over else Status.INCOMPLETE
    return CarriedAnswer(
        status=str(status.value),
        finish_reason="stop" if is_over else "interrupted",
        assistant_name=text(entry.get("modelName"), 80) or model[:80] or "Open WebUI",
        backend="Open WebUI",
        model=model,
        queued_at=when,
    )


def _notes(left_out: Counter[str]) -> list[str]:
    words = {
        "files": _("Images and files were not imported, as they are not in this file: %d."),
        "thoughts": _("What the model thought to itself was left out: %d."),
        "steps": _("Steps of searches and tools were left out: %d."),
        "system": _("Instructions to the model were left out: %d."),
    }
    return [sentence % left_out[kind] for kind, sentence in words.items() if left_out[kind]]
