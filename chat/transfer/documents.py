"""The shown branch of a conversation as one document to read: Markdown, or HTML that asks for nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify

from chat.markdown import render
from chat.models import Role
from chat.transfer.shape import CarriedConversation, CarriedMessage

_IMAGE = re.compile(r'<img\b[^>]*?\balt="([^"]*)"[^>]*>|<img\b[^>]*>')
_NAME_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Turn:
    """A message as a document shows it."""

    message: CarriedMessage
    by: str
    html: SafeString


def branch(conversation: CarriedConversation) -> list[CarriedMessage]:
    """Return the messages from the first one to the end of the shown branch."""
    known = {message.id: message for message in conversation.messages}
    path = []
    message = known.get(conversation.leaf or "")
    while message:
        path.append(message)
        message = known.get(message.parent or "")
    return path[::-1]


def as_markdown(conversation: CarriedConversation) -> str:
    """Return the shown branch as one Markdown document that ends in a newline."""
    parts = (
        f"## {_author(message)}, {message.created_at:%Y-%m-%d %H:%M} UTC\n\n{message.content}".rstrip()
        for message in branch(conversation)
    )
    return "\n\n".join([f"# {conversation.title}", *parts]) + "\n"


def as_html(conversation: CarriedConversation) -> str:
    """Return the shown branch as one file that any browser shows, without a script and without asking for anything."""
    turns = [
        Turn(message, _author(message), _harmless(message.content) if message.role == Role.ASSISTANT else SafeString())
        for message in branch(conversation)
    ]
    return render_to_string("chat/document.html", {"conversation": conversation, "turns": turns, "css": _css()})


def file_name(conversation: CarriedConversation) -> str:
    """Return a name for a file, without its ending: the title, as far as files may be called so."""
    return slugify(conversation.title, allow_unicode=True)[:_NAME_LENGTH].strip("-") or "conversation"


def _author(message: CarriedMessage) -> str:
    if message.answer and message.answer.assistant_name:
        return message.answer.assistant_name
    return str(Role(message.role).label).capitalize()


def _harmless(content: str) -> SafeString:
    """Return the HTML of an answer with its images, which are paths of the site, as words."""
    html = _IMAGE.sub(lambda image: f"<em>{image[1] or ''}</em>", render(content))
    return mark_safe(html)  # noqa: S308 - from our own renderer; the words are escaped as they were in the attribute


@cache
def _css() -> SafeString:
    css = (Path(__file__).parent / "document.css").read_text(encoding="utf-8")
    return mark_safe(css)  # noqa: S308 - a file of ours
