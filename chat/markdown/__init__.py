"""Markdown of a model to HTML that can neither run nor fetch anything.

The browser renders an answer while it grows (static/chat/markdown.js) by the same grammar and into the same elements;
tests/test_javascript.py holds the two equal.
"""

from __future__ import annotations

from django.utils.safestring import SafeString, mark_safe

from chat.markdown.grammar import grammar
from chat.markdown.html import clean


def render(text: str) -> SafeString:
    """Return the HTML of a text; HTML in it is shown as text.

    The text is read by CommonMark with tables, strikethrough, task lists, bare links and maths. The result has been
    through an allowlist of elements, attributes and URL schemes.
    """
    return mark_safe(clean(grammar().render(text)))  # noqa: S308 - that is what clean is for


def render_inline(text: str) -> SafeString:
    """Return the HTML of a few sentences: emphasis, code and links; what would begin a block is text.

    Line ends stay as they are.
    """
    return mark_safe(clean(grammar().renderInline(text)))  # noqa: S308 - that is what clean is for
