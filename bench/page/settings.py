"""The site's settings with a backend that writes as models do, only always alike."""

from __future__ import annotations

from chatsite.settings import *  # noqa: F403

CHAT_BACKENDS = {
    "writer": {"BACKEND": "bench.page.writer.WriterBackend", "LABEL": "Writer"},
    "instant": {"BACKEND": "bench.instant.InstantBackend", "LABEL": "Instant"},
}
