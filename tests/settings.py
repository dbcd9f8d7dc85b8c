"""The site's settings, made quick and quiet for tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# A developer's own .env and database have no say in a test.
os.environ["VAR_DIR"] = tempfile.mkdtemp(prefix="chatsite-tests-")
atexit.register(shutil.rmtree, os.environ["VAR_DIR"], ignore_errors=True)
for _name in (
    "DATABASE_URL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "HTTPS",
    "DEBUG",
    "ALLOWED_HOSTS",
    "LANGUAGE_CODE",
    "REDIS_URL",
    "WEB_CONCURRENCY",
    "CHAT_SIGNUP",
    "CHAT_SIGNUP_DOMAINS",
    "CHAT_SIGNUP_VERIFY",
):
    os.environ.pop(_name, None)
for _name in ("CHAT_ENGINE_ADDRESS", "CHAT_ENGINE_TOKEN", "CHAT_ENGINE_START", "CHAT_ENGINE_MAX_MODELS"):
    os.environ.pop(_name, None)
# On PostgreSQL, where this names one: tests/processes/test_postgresql.py.
if "TEST_DATABASE_URL" in os.environ:
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]

from chatsite.settings import *  # noqa: E402, F403
from chatsite.settings import DATABASES, STORAGES, VAR_DIR  # noqa: E402

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, because threads do not share an in-memory database without locking each other out.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(VAR_DIR) / "test.sqlite3")}
(Path(VAR_DIR) / "static").mkdir(exist_ok=True)
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ACCOUNT_RATE_LIMITS = False
OPENAI_API_KEY = ""
CHAT_HEARTBEAT_INTERVAL = 0.2
CHAT_SHUTDOWN_GRACE = 0.5
# What many tests let fail is not to be left alone for that; nor do backends hear of what a test did not ask.
CHAT_COOLING_FAILURES = 0
CHAT_PROBE_INTERVAL = 0.0

CHAT_BACKENDS = {
    "echo": {"BACKEND": "tests.fakes.EchoBackend", "LABEL": "Echo"},
    "scripted": {"BACKEND": "tests.fakes.ScriptedBackend", "LABEL": "Scripted"},
}
