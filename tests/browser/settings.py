"""The site as it is, with backends beside the guide that a test can steer."""

from __future__ import annotations

from chatsite.settings import *  # noqa: F403
from chatsite.settings import CHAT_BACKENDS

CHAT_BACKENDS = {
    "guide": CHAT_BACKENDS["guide"],
    "echo": {"BACKEND": "tests.fakes.EchoBackend", "LABEL": "Echo", "OPTIONS": {"delay": 0.02}},
    # An answer that waits for its test may wait long.
    "scripted": {"BACKEND": "tests.fakes.ScriptedBackend", "LABEL": "Scripted", "LIMITS": {"idle_seconds": 900}},
}
# The tests sign in often, and a good hash takes its time.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CHAT_HEARTBEAT_INTERVAL = 0.5
CHAT_SHUTDOWN_GRACE = 0.5

CHAT_COOLING_FAILURES = 0  # what fails on purpose must not keep other tests away
