"""What one step brought, as lines of the protocol."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from backends.base import StageName
from backends.exceptions import ChatBackendError
from backends.transformers.engine.answers import Key, Progress
from backends.transformers.protocol import encode_error, encode_numbered


class Report:
    """Collects what happened, by the connection that asked."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))

    @property
    def is_empty(self) -> bool:
        return not self._parts

    def stage(self, key: Key, name: StageName, place: int | None = None) -> None:
        self._add(key, "stages", name, place)

    def progress(self, key: Key, progress: Progress) -> None:
        if progress.confidence is not None:
            self._add(key, "confidence", progress.confidence)
        if progress.text or progress.finish:
            usage = progress.usage
            counts = (usage.input_tokens, usage.output_tokens) if usage else None
            self._add(key, "events", progress.text, progress.finish, counts)

    def error(self, key: Key, error: ChatBackendError) -> None:
        self._add(key, "errors", *encode_error(error))

    def lines(self) -> Iterator[bytes]:
        for connection, parts in self._parts.items():
            yield encode_numbered(connection, parts)

    def _add(self, key: Key, part: str, *values: Any) -> None:
        connection, number = key
        self._parts[connection][part].append((number, *values))
