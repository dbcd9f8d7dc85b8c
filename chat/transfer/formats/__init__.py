"""The formats that can be imported, told apart by what a conversation looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from chat.transfer.formats import chatgpt, openwebui, own
from chat.transfer.formats.reading import Reading


class Format(NamedTuple):
    """A format: what it is called, how it is recognised, how it is read."""

    name: str
    label: str
    recognises: Callable[[dict[str, Any]], bool]
    read: Callable[[dict[str, Any]], Reading]


FORMATS = (
    Format("chatgpt", "ChatGPT", chatgpt.recognises, chatgpt.read),
    Format("openwebui", "Open WebUI", openwebui.recognises, openwebui.read),
    Format("chatsite", "chatsite", own.recognises, own.read),
)


def format_of(data: dict[str, Any]) -> Format | None:
    """Return the format of one conversation; None where we know none like it."""
    return next((known for known in FORMATS if known.recognises(data)), None)


def label_of(name: str) -> str:
    return next((known.label for known in FORMATS if known.name == name), "")
