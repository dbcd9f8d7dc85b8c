"""Where static files come from and how they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, overload

import brotli  # type: ignore[import-untyped]
import rjsmin
from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.utils import matches_patterns
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.utils._os import safe_join
from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage

LARGE = 1_000_000
"""Bytes."""


class NodeModulesFinder(BaseFinder):
    """Finds the few files named in ``settings.NPM_MODULES`` and ``NPM_FILES``, and nothing else that npm installed."""

    def __init__(self, app_names: Any = None, *args: Any, **kwargs: Any) -> None:
        self.root = Path(settings.BASE_DIR) / "frontend" / "node_modules"
        self.storage = FileSystemStorage(location=self.root)
        self.storage.prefix = "npm"  # type: ignore[attr-defined]  # collectstatic puts it in front of the path

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    @overload
    def find(self, path: str, find_all: Literal[False] = False) -> str | None: ...

    @overload
    def find(self, path: str, find_all: Literal[True]) -> list[str]: ...

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> str | list[str] | None:
        found: list[str] = []
        if path in settings.NPM_MODULES.values() or any(fnmatchcase(path, name) for name in settings.NPM_FILES):
            file = safe_join(str(self.root), path.removeprefix("npm/"))
            found = [file] if Path(file).is_file() else []
        if find_all:
            return found
        return found[0] if found else None

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, FileSystemStorage]]:
        for path in [*settings.NPM_MODULES.values(), *self._more()]:
            if self.find(path) and not matches_patterns(path, ignore_patterns):
                yield path.removeprefix("npm/"), self.storage

    def _more(self) -> Iterator[str]:
        for name in settings.NPM_FILES:
            for file in self.root.glob(name.removeprefix("npm/")):
                yield f"npm/{file.relative_to(self.root).as_posix()}"


class HashedFileCompressor(Compressor):  # type: ignore[misc]
    """Compresses a file with a hash in its name once: what is beside it is still right at the next deployment."""

    def compress(self, path: str) -> list[str]:
        made = [f"{path}.br", f"{path}.gz"]
        if all(Path(file).is_file() for file in made):
            return made
        found: list[str] = super().compress(path)
        return found

    @staticmethod
    def compress_brotli(data: bytes) -> bytes:
        # The best of all qualities takes ten seconds for the one file of this size, and saves a tenth of it.
        compressed: bytes = brotli.compress(data, quality=11 if len(data) < LARGE else 6)
        return compressed


class ManifestStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Hashed names, kept by browsers for ever; compressed once, when they are collected.

    Our own scripts lose their comments and spaces, a third of what they weigh compressed.
    """

    def _save(self, name: str, content: File[Any]) -> str:
        if name.startswith("chat/") and name.endswith(".js"):
            # Not read(): to name it by its hash, it was read to its end.
            content = ContentFile(rjsmin.jsmin(b"".join(content.chunks())))
        saved: str = super()._save(name, content)
        return saved

    def create_compressor(self, **kwargs: Any) -> Compressor:
        return HashedFileCompressor(**kwargs)
