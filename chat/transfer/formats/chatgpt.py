"""ChatGPT's data export: ``conversations.json``, a list of conversations with a ``mapping`` of nodes each.

A node has ``parent``, ``children`` and a ``message``, which is null at the root. An answer may be a chain of messages:
what the assistant says to a tool, what the tool says, what the assistant says in the end.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _

from chat.models import Status
from chat.transfer import trees
from chat.transfer.formats.reading import Foreign, Reading, fenced, reading_of
from chat.transfer.shape import CarriedAnswer
from chat.transfer.values import mapping, moment, name, sequence, text, word

_MARKER = re.compile(" ?\ue200([^\ue200\ue201]*)\ue201")
"""What the page of ChatGPT draws as a chip: the name of a source, of a company, of a file."""
_PRIVATE = re.compile("[\ue200-\ue2ff]")
_SILENT = {
    "user_editable_context", "model_editable_context", "thoughts", "reasoning_recap", "tether_quote",
    "tether_browsing_display", "tether_browsing_code", "sonic_webpage", "system_error", "computer_output",
    "app_pairing_content",
}  # fmt: skip
_ROLES = {"user": "user", "assistant": "assistant", "tool": "assistant"}


def recognises(data: dict[str, Any]) -> bool:
    return isinstance(data.get("mapping"), dict)


def read(data: dict[str, Any]) -> Reading:
    """Return the conversation with its branches.

    Raises:
        UnreadableError: there is nothing in it to show.
    """
    left_out: Counter[str] = Counter()
    default_model = text(data.get("default_model_slug"), 80)
    nodes = [_node(key, mapping(entry), default_model, left_out) for key, entry in _in_order(mapping(data["mapping"]))]
    foreign = Foreign(
        id=name(data.get("conversation_id")) or name(data.get("id")),
        title=text(data.get("title"), 200).strip(),
        nodes=nodes,
        current=name(data.get("current_node")),
        created_at=moment(data.get("create_time")),
        updated_at=moment(data.get("update_time")),
        is_pinned=data.get("is_starred") is True or moment(data.get("pinned_time")) is not None,
        is_archived=data.get("is_archived") is True,
        notes=[],
    )
    reading = reading_of(foreign)
    reading.notes.extend(_notes(left_out))
    return reading


def _in_order(nodes: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the nodes so that siblings stand as the file's lists of children have them."""
    places: dict[str, int] = {}
    for entry in nodes.values():
        for place, child in enumerate(sequence(mapping(entry).get("children"))):
            if isinstance(child, str):
                places.setdefault(child, place)
    moments = {key: moment(mapping(mapping(entry).get("message")).get("create_time")) for key, entry in nodes.items()}

    def order(item: tuple[str, Any]) -> tuple[float, int]:
        when = moments[item[0]]
        return (when.timestamp() if when else 0.0, places.get(item[0], 0))

    return sorted(nodes.items(), key=order)


def _node(key: str, entry: dict[str, Any], default_model: str, left_out: Counter[str]) -> trees.Node:
    message = mapping(entry.get("message"))
    role = word(mapping(message.get("author")).get("role"))
    content = "" if _is_hidden(message, role) else _content(message, role, left_out)
    is_answer = role in {"assistant", "tool"}
    return trees.Node(
        id=name(key) or "?",
        parent=name(entry.get("parent")),
        role=_ROLES.get(role, "user"),
        content=content,
        created_at=moment(message.get("create_time")),
        answer=_answer(message, default_model)
        if role == "assistant"
        else _tool_answer(default_model)
        if is_answer
        else None,
        is_kept=bool(content),
    )


def _is_hidden(message: dict[str, Any], role: str) -> bool:
    metadata = mapping(message.get("metadata"))
    return role not in _ROLES or metadata.get("is_visually_hidden_from_conversation") is True


def _content(message: dict[str, Any], role: str, left_out: Counter[str]) -> str:
    content = mapping(message.get("content"))
    kind = word(content.get("content_type"))
    if kind in _SILENT:
        left_out["thoughts" if kind in {"thoughts", "reasoning_recap"} else "steps"] += 1
        return ""
    recipient = word(message.get("recipient")) or "all"
    if role == "assistant" and recipient not in {"all", "python"} and not recipient.startswith("canmore"):
        left_out["steps"] += 1
        return ""
    readers: dict[str, Callable[[dict[str, Any], Counter[str]], str]] = {"code": _code, "execution_output": _output}
    body = readers.get(kind, _parts)(content, left_out)
    if role == "tool" and kind not in {"execution_output", "multimodal_text"}:
        left_out["steps"] += bool(body)
        return ""
    if body and recipient != "all" and kind != "code":
        body = fenced(body, "python" if recipient == "python" else "json")
    return "\n\n".join(filter(None, [*_attachments(message, left_out), body]))


def _code(content: dict[str, Any], _left_out: Counter[str]) -> str:
    language = text(content.get("language"), 30)
    code = text(content.get("text"))
    return (
        fenced(code, language if re.fullmatch(r"[\w+#.-]+", language) and language != "unknown" else "") if code else ""
    )


def _output(content: dict[str, Any], _left_out: Counter[str]) -> str:
    output = text(content.get("text"))
    return fenced(output) if output.strip() else ""


def _parts(content: dict[str, Any], left_out: Counter[str]) -> str:
    parts = sequence(content.get("parts")) or [content.get("text") or content.get("result") or ""]
    return "\n\n".join(filter(None, (_part(part, left_out) for part in parts))).strip()


def _part(part: Any, left_out: Counter[str]) -> str:
    if isinstance(part, str):
        return _PRIVATE.sub("", _MARKER.sub(_marked, text(part)))
    asset = mapping(part)
    kind = word(asset.get("content_type"))
    if kind == "audio_transcription":
        return text(asset.get("text"))
    if not kind:
        return text(asset.get("text"))
    left_out["files"] += 1
    return _("[An image that was not imported]") if "image" in kind else _("[A recording that was not imported]")


def _marked(match: re.Match[str]) -> str:
    """Return what a chip says, where that is part of the sentence."""
    kind, _separator, rest = match[1].partition("\ue202")
    value = rest.split("\ue202")[0]
    said = value if kind == "url" else _entity(value) if kind == "entity" else ""
    return f"{' ' if match[0].startswith(' ') else ''}{said}" if said else ""


def _entity(value: str) -> str:
    try:
        entity = json.loads(value)
    except (ValueError, RecursionError):
        return ""
    return entity[1] if isinstance(entity, list) and len(entity) > 1 and isinstance(entity[1], str) else ""


def _attachments(message: dict[str, Any], left_out: Counter[str]) -> list[str]:
    found = []
    for attachment in map(mapping, sequence(mapping(message.get("metadata")).get("attachments"))):
        left_out["files"] += 1
        file_name = text(attachment.get("name"), 200) or _("without a name")
        found.append(_("[A file that was not imported: %s]") % file_name)
    return found


def _answer(message: dict[str, Any], default_model: str) -> CarriedAnswer:
    metadata = mapping(message.get("metadata"))
    model = text(metadata.get("model_slug"), 80) or default_model
    end = mapping(metadata.get("finish_details")).get("type")
    status, reason = Status.COMPLETED, "stop"
    if end == "max_tokens":
        status, reason = Status.INCOMPLETE, "length"
    elif end == "interrupted" or message.get("status") == "in_progress":
        status, reason = Status.INCOMPLETE, "interrupted"
    when = moment(message.get("create_time"))
    return CarriedAnswer(
        status=str(status.value),
        finish_reason=reason,
        assistant_name=model or "ChatGPT",
        backend="ChatGPT",
        model=model,
        queued_at=when,
    )


def _tool_answer(default_model: str) -> CarriedAnswer:
    return CarriedAnswer(assistant_name=default_model or "ChatGPT", backend="ChatGPT", model=default_model)


def _notes(left_out: Counter[str]) -> list[str]:
    words = {
        "files": _("Images and files were not imported, as they are not in this file: %d."),
        "thoughts": _("What the model thought to itself was left out: %d."),
        "steps": _("Steps of searches and tools were left out: %d."),
    }
    return [sentence % left_out[kind] for kind, sentence in words.items() if left_out[kind]]
