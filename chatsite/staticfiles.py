"""Where static files come from and how they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, overload

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.utils import matches_patterns
from django.core.files.storage import FileSystemStorage
from django.utils._os import safe_join
from whitenoise.storage import CompressedManifestStaticFilesStorage


class NodeModulesFinder(BaseFinder):
    """Finds the few files named in ``settings.NPM_MODULES``, and nothing else of what npm installed."""

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
        if path in settings.NPM_MODULES.values():
            file = safe_join(str(self.root), path.removeprefix("npm/"))
            found = [file] if Path(file).is_file() else []
        if find_all:
            return found
        return found[0] if found else None

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, FileSystemStorage]]:
        for path in settings.NPM_MODULES.values():
            if self.find(path) and not matches_patterns(path, ignore_patterns):
                yield path.removeprefix("npm/"), self.storage


class ManifestStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Hashed names, kept by browsers for ever; compressed once, when they are collected."""
