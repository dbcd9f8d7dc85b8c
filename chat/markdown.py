"""Markdown of a model to HTML that can neither run nor fetch anything.

The browser renders an answer while it grows (static/chat/markdown.js) by the same grammar and into the same elements.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

_TAGS = {
    "p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "img",
    "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "div", "header", "span",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title"},
    "ol": {"start"},
    "code": {"class"},
    "div": {"class"},
    "th": {"class"},
    "td": {"class"},
}
_SCHEMES = {"http", "https", "mailto", "tel"}


class _Renderer(RendererHTML):
    """Code gets a header with its language, tables a wrapper that scrolls, foreign images become links."""

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        language = tokens[index].info.split(maxsplit=1)[0] if tokens[index].info.strip() else ""
        return _code(tokens[index].content, language)

    def code_block(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        return _code(tokens[index].content, "")

    def table_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        return '<div class="tbl"><table>'

    def table_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        return "</table></div>"

    def th_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        return _cell(tokens[index])

    td_open = th_open

    def link_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        if not _is_safe(str(tokens[index].attrGet("href") or "")):
            del tokens[index].attrs["href"]
        return self.renderToken(tokens, index, options, env)

    def image(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        token = tokens[index]
        source = str(token.attrGet("src") or "")
        label = self.renderInlineAsText(token.children, options, env)
        if sum(other.nesting for other in tokens[:index] if other.type in {"link_open", "link_close"}):
            # A link within a link is none: the parser of a browser ends the outer one.
            return escape(label or source)
        if _is_local(source):
            return f'<img src="{escape(source)}" alt="{escape(label)}">'
        return f'<a href="{escape(source)}">{escape(label or source)}</a>'


def _code(content: str, language: str) -> str:
    css = f' class="language-{escape(language)}"' if language else ""
    header = f"<header><span>{escape(language)}</span></header>"
    return f'<div class="code">{header}<pre><code{css}>{escape(content)}</code></pre></div>\n'


def _cell(token: Token) -> str:
    alignment = re.search(r"text-align:(\w+)", str(token.attrGet("style") or ""))
    return f'<{token.tag} class="{alignment[1]}">' if alignment else f"<{token.tag}>"


def _is_safe(address: str) -> bool:
    scheme, colon, _ = address.partition(":")
    return bool(colon and scheme.lower() in _SCHEMES) or _is_local(address)


def _is_local(source: str) -> bool:
    """Whether this is a path on our own site."""
    try:
        parts = urlsplit(source)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc and source.startswith("/")


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "linkify": True}, renderer_cls=_Renderer)
    markdown.enable(["table", "strikethrough", "linkify"])
    assert markdown.linkify is not None
    markdown.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    return markdown


def render(text: str) -> SafeString:
    """Return the HTML of a text by CommonMark with tables, strikethrough and bare links; HTML in it is shown as text.

    The result has been through an allowlist of elements, attributes and URL schemes (nh3).
    """
    html = _markdown().render(text)
    return mark_safe(  # noqa: S308 - that is what nh3 is for
        nh3.clean(
            html,
            tags=_TAGS,
            attributes=_ATTRIBUTES,
            url_schemes=_SCHEMES,
            link_rel="noopener noreferrer nofollow",
            strip_comments=True,
        )
    )
