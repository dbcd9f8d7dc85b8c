"""What people upload: a file of JSON, or a ZIP with such files in it. Nothing is unpacked to the disk."""

from __future__ import annotations

import codecs
import re
import zipfile
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import IO, BinaryIO

from django.utils.translation import gettext as _

from chat.transfer.json_pieces import Piece, pieces
from chat.transfer.values import UnreadableError

_ZIP = b"PK\x03\x04"
_CHUNK = 1 << 16
_MOST_MEMBERS = 100_000
_MOST_FILES = 200
_CONVERSATIONS = re.compile(r"(^|/)(conversations|chat-export|chats)[^/]*\.json$", re.IGNORECASE)


def conversations(file: BinaryIO, most_bytes: int) -> Iterator[Piece]:
    """Yield each conversation of an upload, or why it cannot be read.

    Raises:
        UnreadableError: the file is none of those that we know, or its rest cannot be read.
    """
    beginning = file.read(4)
    file.seek(0)
    if not beginning:
        raise UnreadableError(_("The file is empty."))
    if beginning.startswith(_ZIP):
        yield from _of_zip(file, most_bytes)
    elif beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UnreadableError(_("The file is not in UTF-8."))
    else:
        yield from pieces(_chunks(file, [most_bytes]))


def _chunks(file: IO[bytes], left: list[int]) -> Iterator[bytes]:
    """Yield what the file has, without a mark of its encoding.

    Raises:
        UnreadableError: that is more than what is left: a ZIP says what it likes about its sizes.
    """
    first = file.read(_CHUNK).removeprefix(codecs.BOM_UTF8)
    for chunk in chain([first], iter(lambda: file.read(_CHUNK), b"")):
        left[0] -= len(chunk)
        if left[0] < 0:
            raise UnreadableError(_("What is packed in the file is larger than an import may be."))
        yield chunk


def _of_zip(file: BinaryIO, most_bytes: int) -> Iterator[Piece]:
    left = [most_bytes]
    try:
        with zipfile.ZipFile(file) as archive:
            names = _members(archive)
            for name in names:
                with archive.open(name) as member:
                    yield from pieces(_chunks(member, left))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise UnreadableError(_("The ZIP file is damaged.")) from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a way that we cannot unpack
        raise UnreadableError(_("The ZIP file is protected by a password, or packed in an unusual way.")) from error


def _members(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the files with conversations: those called so, or else every JSON file.

    Raises:
        UnreadableError: there is none, or there are too many.
    """
    names = [info.filename for info in archive.infolist() if not info.is_dir() and "__MACOSX" not in info.filename]
    if len(names) > _MOST_MEMBERS:
        raise UnreadableError(_("The ZIP file has too many files in it."))
    found = [name for name in names if _CONVERSATIONS.search(name)]
    found = found or [name for name in names if name.lower().endswith(".json")]
    if not found:
        raise UnreadableError(_("The ZIP file has no JSON file with conversations in it."))
    if len(found) > _MOST_FILES:
        raise UnreadableError(_("The ZIP file has too many files in it."))
    return sorted(set(found))
