"""The site as it is, with backends that count and echo, and an engine service whose engines have no model."""

from __future__ import annotations

from backends.transformers import launch
from chatsite.settings import *  # noqa: F403
from tests.backends.fake_service import service_command

launch.service_command = service_command

CHAT_BACKENDS = {
    "counting": {"BACKEND": "tests.crash.counting.CountingBackend", "LABEL": "Counting"},
    "engine": {"BACKEND": "backends.transformers.TransformersBackend", "LABEL": "Engine", "OPTIONS": {"model": "fake"}},
}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
ACCOUNT_RATE_LIMITS = False

CHAT_COOLING_FAILURES = 0  # what fails on purpose must not keep other tests away
