"""The site's settings with upstreams that keep a pace: one in the process, one behind the OpenAI backend."""

from __future__ import annotations

import os

from bench.settings import *  # noqa: F403

CHAT_BACKENDS = {
    "paced": {"BACKEND": "bench.streaming.ways.paced.PacedBackend"},
    "upstream": {
        "BACKEND": "backends.openai.OpenAIBackend",
        "OPTIONS": {"model": "bench", "base_url": os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1:9/v1")},
    },
}
CHAT_MAX_RUNNING = 1_000
# The plain view over AsyncOpenAI sends its server the question and nothing else, too.
CHAT_HISTORY_MESSAGES = 1
