r"""Maths in markdown: ``$…$`` and ``\(…\)`` in a line, ``$$…$$`` and ``\[…\]`` displayed.

static/chat/maths-rules.js has the same rules, name by name.
"""

from __future__ import annotations

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

_DISPLAY = {"$$": "$$", "\\[": "\\]"}
_IN_LINE = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}
# Between two dollars that mean money there is a space or a digit at the wrong place.
_DOLLARS = re.compile(r"\$(?![ \t])((?:[^$\\\n]|\\[^\n])+)(?<![ \t])\$(?:(?![0-9A-Za-z$])|(?=th(?![0-9A-Za-z])))")
# An escaped bracket is maths only if there is something in it that prose has not.
_TEX = re.compile(r"[\\^_{}]| [=<>+] ")
_WORD = re.compile(r"[0-9A-Za-z]")
_LONGEST = 4000
"""Characters within which maths in a text must end, so that a long text without an end is read in linear time."""


def maths(markdown: MarkdownIt) -> None:
    """Teach a parser the rules."""
    markdown.block.ruler.before(
        "fence", "math_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    markdown.inline.ruler.before("escape", "math_inline", _inline)


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Display maths on lines of its own; it ends before a blank line or never was."""
    if state.is_code_block(start):
        return False
    text = _line(state, start)
    markup = text[:2]
    if markup not in _DISPLAY or start < _unclosed(state.env).get(markup, 0):
        return False
    number = _closing_line(state, start, end, _DISPLAY[markup])
    if number is None:
        return False
    lines = [text[2:], *(_line(state, line) for line in range(start + 1, number + 1))]
    content = "\n".join(lines).rstrip(" \t")[:-2].strip(" \t\n")
    if not content or (markup == "\\[" and number == start and not _TEX.search(content)):
        return False
    if silent:
        return True
    state.line = number + 1
    token = state.push("math_block", "div", 0)
    token.content = content
    token.map = [start, state.line]
    return True


def _closing_line(state: StateBlock, start: int, end: int, closer: str) -> int | None:
    text = _line(state, start)[2:]
    number = start
    while (at := text.find(closer)) < 0:
        number += 1
        if number >= end or state.isEmpty(number) or state.sCount[number] < state.blkIndent:
            break
        text = _line(state, number)
    if at >= 0 and not text[at + 2 :].strip(" \t"):
        return number
    # Every line up to here that begins the same way fails the same way.
    _unclosed(state.env)[_line(state, start)[:2]] = number
    return None


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]


def _unclosed(env: Any) -> dict[str, int]:
    found: dict[str, int] = env.setdefault("unclosed", {})
    return found


def _inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    found = _in_brackets(state) or _in_dollars(state)
    if not found or found[2] > state.posMax:
        return False
    markup, content, end = found
    if not silent:
        token = state.push("math_inline", "span", 0)
        token.markup = markup
        token.content = content.strip(" \t\n")
    state.pos = end
    return True


def _in_brackets(state: StateInline) -> tuple[str, str, int] | None:
    src, pos = state.src, state.pos
    markup = src[pos : pos + 2]
    closer = _IN_LINE.get(markup)
    if closer is None or (markup != "\\[" and _follows_word(state)):
        return None
    length = src[pos + 2 : pos + 2 + _LONGEST].find(closer)
    content = src[pos + 2 : pos + 2 + max(length, 0)]
    if not content.strip(" \t\n") or "$" in content or (markup == "\\[" and not _TEX.search(content)):
        return None
    return markup, content, pos + length + 4


def _in_dollars(state: StateInline) -> tuple[str, str, int] | None:
    if _follows_word(state):
        return None
    found = _DOLLARS.match(state.src, state.pos)
    return ("$", found[1], found.end()) if found else None


def _follows_word(state: StateInline) -> bool:
    """Whether a letter, a digit or a dollar stands right before."""
    before = state.src[state.pos - 1] if state.pos else ""
    return before == "$" or bool(_WORD.match(before))
