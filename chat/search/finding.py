"""Finding: candidates come from the index, newest first; their texts decide. So every database finds the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chat.models import Conversation, Message, User
from chat.search.grams import grams_of_query
from chat.search.index import get_index
from chat.search.passages import Wanted
from chat.search.snippets import Part, snippet, whole
from chat.search.terms import Query

PAGE = 30
"""Messages on a page of results."""
TITLES = 5
"""Titles above them; more are on pages of their own."""
MOST_CANDIDATES = 400
"""Texts that are read for one page: a rare phrase of common words goes on on the next one."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that matches."""

    message: Message
    snippet: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A conversation with what matches in it."""

    conversation: Conversation
    title: tuple[Part, ...]
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """A page of results: conversations whose titles match come first, then by their newest message that matches."""

    groups: tuple[Group, ...] = ()
    before: int | None = None
    """The message from which the next page goes on; None where there is none."""
    before_title: int | None = None
    """The same for titles."""


def find(user: User, query: Query, before: int | None = None) -> Findings:
    """Return what a person has that matches: titles and messages, or older messages only."""
    first = _titles(user, query, None, TITLES) if before is None else _Found([], None)
    found = _search(user, query, before=before, titles=False, count=PAGE)
    groups = _grouped([message.conversation for message in first.messages], found.messages, query)
    return Findings(groups=groups, before=found.before, before_title=first.before)


def find_titles(user: User, query: Query, before: int | None = None) -> Findings:
    """Return the conversations whose titles match, of those that were begun before a message."""
    found = _titles(user, query, before, PAGE)
    groups = _grouped([message.conversation for message in found.messages], [], query)
    return Findings(groups=groups, before_title=found.before)


def recent(user: User, count: int = 10) -> Findings:
    """Return the conversations that somebody who has not typed anything may be looking for."""
    newest = Conversation.objects.owned_by(user).filter(is_archived=False).order_by("-updated_at")[:count]
    return Findings(groups=tuple(Group(conversation, whole(conversation.title)) for conversation in newest))


@dataclass(frozen=True, slots=True)
class _Found:
    messages: list[Message]
    before: int | None


def _titles(user: User, query: Query, before: int | None, count: int) -> _Found:
    """Return the first messages of the conversations."""
    return _search(user, query, before=before, titles=True, count=count)


def _search(user: User, query: Query, *, before: int | None, titles: bool, count: int) -> _Found:
    index, grams = get_index(), grams_of_query(query)
    found: list[int] = []
    batch, read, is_over = count + 10, 0, False
    while read < MOST_CANDIDATES and len(found) <= count and not is_over:
        wanted = Wanted(owner=user.pk, grams=grams, titles=titles, before=before, count=batch)
        pks = [abs(pk) for pk in index.newest(wanted)]
        found += _matching(user, query, pks, titles=titles)
        is_over = len(pks) < batch
        before = None if is_over else pks[-1]
        read += batch
        batch = min(batch * 4, MOST_CANDIDATES - read)
    if len(found) > count:
        found, before = found[:count], found[count - 1]
    related = Message.objects.select_related("conversation").in_bulk(found)
    return _Found([related[pk] for pk in found if pk in related], before)


def _matching(user: User, query: Query, pks: Sequence[int], *, titles: bool) -> list[int]:
    """Return those of the messages that are this person's to see and match themselves, or by the title above them."""
    # Whose they are is looked at here, not asked for: SQLite would rather go through all conversations of a person than
    # through forty messages.
    rows = Message.objects.filter(pk__in=pks).order_by()
    columns = ("pk", "conversation__title" if titles else "content", "conversation__owner", "conversation__deleted_at")
    texts = {
        pk: text for pk, text, owner, deleted_at in rows.values_list(*columns) if owner == user.pk and not deleted_at
    }
    return [pk for pk in pks if pk in texts and query.matches(texts[pk])]


def _grouped(titled: list[Conversation], messages: list[Message], query: Query) -> tuple[Group, ...]:
    conversations = {conversation.pk: conversation for conversation in titled}
    hits: dict[object, list[Hit]] = {}
    for message in messages:
        conversations.setdefault(message.conversation_id, message.conversation)
        hits.setdefault(message.conversation_id, []).append(Hit(message, snippet(message.content, query)))
    return tuple(
        Group(conversation, whole(conversation.title, query), tuple(hits.get(pk, ())))
        for pk, conversation in conversations.items()
    )
