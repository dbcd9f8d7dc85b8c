"""What counts as markdown here; static/chat/grammar.js is the same for browsers."""

from __future__ import annotations

import re
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from chat.markdown.html import Renderer
from chat.markdown.maths import maths

_TASK = re.compile(r"\[([ xX])\][ \t]")


@lru_cache(maxsize=1)
def grammar() -> MarkdownIt:
    """Return the parser: CommonMark without HTML, with what GitHub adds and with maths."""
    markdown = MarkdownIt("commonmark", {"html": False, "linkify": True}, renderer_cls=Renderer)
    markdown.enable(["table", "strikethrough", "linkify"])
    assert markdown.linkify is not None
    markdown.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    maths(markdown)
    markdown.core.ruler.push("tasks", _tasks)
    return markdown


def _tasks(state: StateCore) -> None:
    """Make list items that begin with ``[ ]`` or ``[x]`` tasks."""
    for item, paragraph, inline in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        if item.type != "list_item_open" or paragraph.type != "paragraph_open" or not inline.children:
            continue
        first = inline.children[0]
        if first.type != "text" or not (mark := _TASK.match(first.content)):
            continue
        first.content = first.content[mark.end() :]
        box = Token("task_box", "span", 0)
        box.content = "☐" if mark[1] == " " else "☑"
        inline.children.insert(0, box)
        item.attrSet("class", "task")
