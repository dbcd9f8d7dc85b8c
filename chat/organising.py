"""The list put in order by its owner: pinned, archived, in folders. Each verb takes any number of conversations."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import transaction

from chat import events
from chat.conversations import publish_conversations
from chat.models import Conversation, Folder, User
from chat.refusals import FolderGoneError

MOST_FOLDERS = 100
"""How many folders one person may have; all are listed on every page."""


def pin_conversations(owner: User, pks: Collection[UUID], *, is_pinned: bool) -> list[UUID]:
    """Keep them at the top of the list, or no longer; return which of them are this person's."""
    return _change(owner, pks, is_pinned=is_pinned)


def archive_conversations(owner: User, pks: Collection[UUID], *, is_archived: bool) -> list[UUID]:
    """Take them out of the list and into the archive, where nothing is pinned, or put them back; return which."""
    return _change(owner, pks, is_archived=is_archived, **({"is_pinned": False} if is_archived else {}))


def move_conversations(owner: User, pks: Collection[UUID], folder: Folder | None) -> list[UUID]:
    """Put them into this folder, out of any other, or into none; return which of them are this person's.

    Raises:
        FolderGoneError: it was deleted meanwhile.
    """
    with transaction.atomic():
        if folder and not _hold(owner, folder):
            raise FolderGoneError
        return _change(owner, pks, folder=folder)


def folder_named(owner: User, name: str) -> Folder:
    """Return this person's folder of that name, made if need be; the caller has counted them."""
    folder, is_new = Folder.objects.get_or_create(owner=owner, name=name)
    if is_new:
        publish_folders(owner)
    return folder


def delete_folder(folder: Folder) -> None:
    """Delete the folder; the conversations in it are in none then. The owner's open pages are told."""
    with transaction.atomic():
        if _hold(folder.owner, folder):
            filed = list(folder.conversations.values_list("pk", flat=True)[:1])
            folder.delete()
            transaction.on_commit(lambda: publish_folders(folder.owner, has_moved=bool(filed)))


def publish_folders(owner: User, *, has_moved: bool = False) -> None:
    """Tell the owner's open pages that the folders are others now, and whether conversations left one."""
    events.publish(events.user_channel(owner.pk), "conversation.folders", {"moved": has_moved})


def _hold(owner: User, folder: Folder) -> bool:
    """Keep the folder as it is until the transaction ends; False if it is gone."""
    return bool(Folder.objects.owned_by(owner).select_for_update().filter(pk=folder.pk).values_list("pk"))


def _change(owner: User, pks: Collection[UUID], **values: Any) -> list[UUID]:
    with transaction.atomic():
        own = Conversation.objects.owned_by(owner).filter(pk__in=pks)
        # In one order, so that two requests never wait for each other.
        found = list(own.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
        Conversation.objects.filter(pk__in=found).update(**values)
        transaction.on_commit(lambda: publish_conversations(found))
    return found
