"""The site as several processes run it, with a backend that writes as slowly as a test wants."""

from __future__ import annotations

from chatsite.settings import *  # noqa: F403
from chatsite.settings import VAR_DIR

CHAT_BACKENDS = {"steady": {"BACKEND": "tests.processes.backends.SteadyBackend", "LABEL": "Steady"}}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
(VAR_DIR / "static").mkdir(exist_ok=True)
