"""Search in what a person wrote and was answered: substrings, in any script, the same on every database.

``terms`` says what matches; ``grams`` makes the short pieces that the index narrows the choice by; ``sqlite`` and
``postgresql`` keep them; ``keeping`` is what the rest of the app tells, ``finding`` what it asks.
"""

from chat.search.finding import Findings, Group, Hit, find, find_titles, recent
from chat.search.keeping import (
    Backlog,
    add_messages,
    add_missing,
    add_title,
    clear_index,
    forget_conversation,
    forget_messages,
    is_behind,
    optimize_index,
    replace_title,
)
from chat.search.snippets import Part
from chat.search.sqlite import has_fts5
from chat.search.terms import MAX_LENGTH, Query

__all__ = [
    "MAX_LENGTH",
    "Backlog",
    "Findings",
    "Group",
    "Hit",
    "Part",
    "Query",
    "add_messages",
    "add_missing",
    "add_title",
    "clear_index",
    "find",
    "find_titles",
    "forget_conversation",
    "forget_messages",
    "has_fts5",
    "is_behind",
    "optimize_index",
    "recent",
    "replace_title",
]
