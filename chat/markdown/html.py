"""Tokens of markdown to HTML, and the allowlist that it goes through; static/chat/items.js makes the same elements."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import nh3
from django.utils.html import escape
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

_TAGS = {
    "p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "img", "small",
    "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "div", "header", "span",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "title", "class", "target"},
    "img": {"src", "alt", "title"},
    "ol": {"start"},
    "li": {"class"},
    "code": {"class"},
    "div": {"class"},
    "span": {"class"},
    "th": {"class"},
    "td": {"class"},
}
_SCHEMES = {"http", "https", "mailto", "tel"}
_PICTURE = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}\Z")
_HOST = re.compile(r"https?://(?:[^/?#]*@)?([^/?#@:]+)", re.IGNORECASE)


def clean(html: str) -> str:
    """Return the HTML without anything that is not on the list."""
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_kept,
        url_schemes={*_SCHEMES, "data"},
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )


def _kept(tag: str, name: str, value: str) -> str | None:
    if name == "href" and not _is_safe(value):
        return None
    return None if name == "src" and not _is_shown(value) else value


class Renderer(RendererHTML):
    """Code gets a header with its language, tables a wrapper that scrolls, foreign images become links."""

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        language = tokens[index].info.split(maxsplit=1)[0] if tokens[index].info.strip() else ""
        return _code(tokens[index].content, language)

    def code_block(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        return _code(tokens[index].content, "")

    def math_block(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        return f'<div class="math display">{escape(tokens[index].content)}</div>\n'

    def math_inline(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        css = "math display" if tokens[index].markup in {"$$", "\\["} else "math"
        return f'<span class="{css}">{escape(tokens[index].content)}</span>'

    def task_box(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        box = tokens[index].content
        return f'<span class="{"box" if box == "☐" else "box done"}">{box}</span> '

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
        if _is_shown(source):
            return f'<img src="{escape(source)}" alt="{escape(label)}">'
        if sum(other.nesting for other in tokens[:index] if other.type in {"link_open", "link_close"}):
            # A link within a link is none: the parser of a browser ends the outer one.
            return escape(label or source)
        return _foreign_image(source, label)


def _foreign_image(source: str, label: str) -> str:
    host = _HOST.match(source)
    if not host:
        return f'<a href="{escape(source)}">{escape(label or source)}</a>'
    # What is behind it is fetched by a click and in a page of its own, never by this one.
    beside = f" <small>{escape(host[1])}</small>" if label else ""
    return f'<a class="image" href="{escape(source)}" target="_blank">{escape(label or source)}{beside}</a>'


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


def _is_shown(source: str) -> bool:
    """Whether an image is ours, or in the text itself and made of pixels."""
    return _is_local(source) or bool(_PICTURE.match(source))


def _is_local(source: str) -> bool:
    """Whether this is a path on our own site."""
    try:
        parts = urlsplit(source)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc and source.startswith("/")
