"""Keeping the index true: what is written, named and deleted is entered in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Subquery

from chat.models import Conversation, Generation, Message, Role
from chat.search.index import get_index
from chat.search.passages import Passage

CHUNK = 5000
"""Messages that are looked for in the index together."""


def add_messages(messages: Iterable[Message]) -> None:
    """Let these messages be found. One that is known already may have grown, and is found by all of it."""
    get_index().put(_passages(messages))


def add_title(conversation: Conversation, first: int) -> None:
    """Let a new conversation be found by its title; ``first`` is the id of its first message."""
    get_index().put([Passage(-first, conversation.owner_id, conversation.title)])


def replace_title(conversation: Conversation, old: str) -> None:
    """Let the conversation be found by the title that it has now, and no more by the old one."""
    if first := _first_message(conversation):
        index = get_index()
        if index.known([-first]):
            index.remove([Passage(-first, conversation.owner_id, old)])
        add_title(conversation, first)


def forget_messages(conversation: Conversation, pks: Collection[int]) -> None:
    """Take these messages, which are about to be deleted, out of the index.

    The title is kept by the id of the first message: if that goes, by the one that is first then.
    """
    rows = conversation.messages.filter(pk__in=pks).exclude(content="").values_list("pk", "content")
    passages = [Passage(pk, conversation.owner_id, content) for pk, content in rows]
    first = _first_message(conversation)
    if first is not None and first in pks:
        title = Passage(-first, conversation.owner_id, _title(conversation))
        passages.append(title)
        if left := conversation.messages.exclude(pk__in=pks).order_by("pk").values_list("pk", flat=True).first():
            add_title(conversation, left)
    _remove_known(passages)


def forget_conversation(instance: Conversation, **kwargs: Any) -> None:
    """Take all of a conversation that is about to be deleted out of the index; a receiver of ``pre_delete``."""
    rows = instance.messages.exclude(content="").values_list("pk", "content")
    passages = [Passage(pk, instance.owner_id, content) for pk, content in rows]
    if first := _first_message(instance):
        passages.append(Passage(-first, instance.owner_id, _title(instance)))
    _remove_known(passages)


class Backlog:
    """What is not in the index yet: from before there was one, or brought by something that did not tell.

    Goes through all messages once, a few at a time, and then looks at new ones only.
    """

    def __init__(self) -> None:
        self._after = 0
        self._newest = 0

    def work(self, limit: int = 200) -> int:
        """Enter up to ``limit`` messages, and the titles that they begin; return how many it looked at; 0: the end."""
        pks = list(Message.objects.filter(pk__gt=self._after).order_by("pk").values_list("pk", flat=True)[:limit])
        if not pks or pks[-1] == self._newest:
            return 0
        self._newest = pks[-1]
        add_missing(pks)
        is_end = len(pks) < limit
        # Some are looked at again: what got a smaller id may be committed later.
        self._after = max(0, pks[-1] - limit // 2) if is_end else pks[-1]
        return 0 if is_end else len(pks)


def add_missing(pks: Sequence[int]) -> int:
    """Enter those of these messages, and of the titles that they begin, that are not in the index; return how many."""
    index = get_index()
    known = index.known([*pks, *(-pk for pk in pks)])
    missing = Message.objects.filter(pk__in=[pk for pk in pks if pk not in known]).select_related("conversation")
    # Those that are being written are entered when they end.
    finished = missing.exclude(pk__in=Generation.objects.unfinished().values("pk"))
    first = Message.objects.filter(conversation=OuterRef("conversation")).order_by("pk").values("pk")[:1]
    roots = Message.objects.filter(pk__in=[pk for pk in pks if -pk not in known], parent=None)
    begun = roots.filter(pk=Subquery(first)).select_related("conversation")
    found = list(_passages(finished))
    found += [Passage(-root.pk, root.conversation.owner_id, root.conversation.title) for root in begun]
    if found:
        with transaction.atomic():
            index.put(found)
    return len(found)


def is_behind() -> bool:
    """Tell whether a finished message is not in the index; looks at all messages where that is not so."""
    after = 0
    texts = Message.objects.exclude(content="").exclude(role=Role.SYSTEM)
    finished = texts.exclude(pk__in=Generation.objects.unfinished().values("pk")).order_by("pk")
    while pks := list(finished.filter(pk__gt=after).values_list("pk", flat=True)[:CHUNK]):
        if len(get_index().known(pks)) < len(pks):
            return True
        after = pks[-1]
    return False


def clear_index() -> None:
    """Forget everything; it is all to be entered anew."""
    get_index().clear()


def optimize_index() -> None:
    """Make the index quick again after much was entered."""
    get_index().optimize()


def _passages(messages: Iterable[Message]) -> Iterator[Passage]:
    for message in messages:
        if message.content and message.role != Role.SYSTEM:
            yield Passage(message.pk, message.conversation.owner_id, message.content)


def _remove_known(passages: Sequence[Passage]) -> None:
    index = get_index()
    known = index.known([passage.pk for passage in passages])
    index.remove([passage for passage in passages if passage.pk in known])


def _title(conversation: Conversation) -> str:
    """Return the title as it is stored: what was read with the conversation may be old by now."""
    return Conversation.objects.filter(pk=conversation.pk).values_list("title", flat=True).first() or ""


def _first_message(conversation: Conversation) -> int | None:
    return conversation.messages.order_by("pk").values_list("pk", flat=True).first()
