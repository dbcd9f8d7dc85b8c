"""``manage.py seed_assistants``: one assistant for each backend that has none."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils.text import slugify

from backends import chat_backends
from chat.models import Assistant

DEFAULTS: dict[str, dict[str, Any]] = {
    "guide": {
        "name": "Guide",
        "description": "Knows this site, and nothing else. Runs on this server.",
        "starters": [
            "What can you do?",
            "How do I add an assistant?",
            "How do I set an OpenAI key?",
            "GPT-2는 어떻게 설치하나요?",
        ],
        "order": 10,
    },
    "openai": {
        "name": "OpenAI",
        "description": "A large model for every question.",
        "starters": ["Explain an error message", "Write a short text", "한국어로 번역해 줘"],
        "order": 0,
    },
    "gpt2": {
        "name": "GPT-2",
        "description": "The small model of 2019; writes on, rather than answers. Runs on this server.",
        "starters": ["Tell me about the sea.", "What is a good way to spend a Sunday?"],
        "order": 20,
    },
}


class Command(BaseCommand):
    help = "Makes an assistant for each backend of CHAT_BACKENDS that has none. To hide one, untick Active instead."

    def handle(self, *args: Any, **options: Any) -> None:
        taken = set(Assistant.objects.values_list("backend", flat=True))
        for alias in chat_backends:
            if alias not in taken:
                defaults = DEFAULTS.get(alias, {"name": chat_backends.label(alias), "order": 30})
                Assistant.objects.create(backend=alias, slug=slugify(alias) or "assistant", **defaults)
                self.stdout.write(f"New assistant: {defaults['name']} (backend {alias})")
