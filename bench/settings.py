"""The site's settings with a backend that answers at once."""

from __future__ import annotations

from chatsite.settings import *  # noqa: F403

CHAT_BACKENDS = {"instant": {"BACKEND": "bench.instant.InstantBackend"}}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
