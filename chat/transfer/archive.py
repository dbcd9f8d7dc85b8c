"""All conversations of a person as one ZIP file, written while it is sent: what is held does not grow with it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from chat.models import User
from chat.transfer.collecting import all_carried
from chat.transfer.documents import as_html, as_markdown, file_name
from chat.transfer.shape import TAIL, CarriedConversation, as_json, head

FORMATS = ("json", "markdown", "html")
_DOCUMENTS: dict[str, tuple[str, Callable[[CarriedConversation], str]]] = {
    "markdown": ("md", as_markdown),
    "html": ("html", as_html),
}
_THREADS = 2

_threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="export")
"""Where archives are made under ASGI, so many at once: requests go on meanwhile."""


class _Output(io.RawIOBase):
    """A file that is written from the beginning to the end, and emptied in between."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # what zipfile writes is bytes
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def archive(owner: User, formats: Collection[str]) -> Iterator[bytes]:
    """Yield a ZIP file with all conversations of the owner in these formats.

    JSON is one file, ``conversations.json``, which can be imported; the others are a file for each conversation.
    """
    output = _Output()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as file:
        if "json" in formats:
            with file.open(_info("conversations.json"), "w", force_zip64=True) as member:
                for text in _json(owner):
                    member.write(text.encode())
                    yield output.take()
        documents = {name: _DOCUMENTS[name] for name in FORMATS if name in formats and name in _DOCUMENTS}
        for number, conversation in enumerate(all_carried(owner) if documents else (), start=1):
            for folder, (ending, make) in documents.items():
                name = f"{folder}/{number:05}-{file_name(conversation)}.{ending}"
                file.writestr(_info(name), make(conversation))
                yield output.take()
    yield output.take()


def _json(owner: User) -> Iterator[str]:
    yield head()
    for number, conversation in enumerate(all_carried(owner)):
        yield f"{',' if number else ''}{as_json(conversation)}\n"
    yield TAIL


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


async def in_threads(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the parts, each made in one of the threads for this, so that making them keeps nobody waiting."""

    def step() -> bytes | None:
        close_old_connections()
        for part in parts:
            if part:
                return part
        return None

    take = sync_to_async(step, thread_sensitive=False, executor=_threads)
    while (part := await take()) is not None:
        yield part
