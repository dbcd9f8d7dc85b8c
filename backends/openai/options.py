"""What the options of the plugin must be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error

if TYPE_CHECKING:
    from backends.openai.backend import OpenAIBackend

OPENAI_HOST = "api.openai.com"
LONGEST_TIMEOUT = 3600
MOST_RETRIES = 10


def check_options(backend: OpenAIBackend) -> list[CheckMessage]:
    """Return what is wrong; no message repeats a secret."""
    return [*_check_base_url(backend.base_url), *_check_credentials(backend), *_check_numbers(backend)]


def _check_base_url(base_url: object) -> Iterator[CheckMessage]:
    hint = 'It looks like "https://api.openai.com/v1" or "http://localhost:8000/v1".'
    try:
        parts = urlsplit(base_url) if isinstance(base_url, str) else None
        usable = parts and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        usable = usable and not any(character.isspace() for character in str(base_url))
    except ValueError:
        usable = False
    if not usable:
        yield Error("The base_url of an OpenAI backend is not an http or https address.", hint=hint, id="backends.E007")


def _check_credentials(backend: OpenAIBackend) -> Iterator[CheckMessage]:
    if not backend.api_key and f"//{OPENAI_HOST}/" in f"{backend.base_url}/":
        hint = "Set the api_key option of this backend, or base_url to a server that asks for none."
        yield Error(f"An OpenAI backend for {OPENAI_HOST} has no api_key.", hint=hint, id="backends.E006")
    sent = {"api_key": backend.api_key, "organization": backend.organization, **backend.headers}
    for name, value in sent.items():
        # A header with a line break or a letter beyond ASCII fails at the first request, with an error that quotes it.
        if not isinstance(value, str) or not (value.isascii() and value.isprintable() and value == value.strip()):
            hint = "Look for spaces, line breaks, quotes and characters that came with copying."
            yield Error(f"{name} of an OpenAI backend cannot be sent as a header.", hint=hint, id="backends.E006")


def _check_numbers(backend: OpenAIBackend) -> Iterator[CheckMessage]:
    for name in ("timeout", "connect_timeout"):
        value = getattr(backend, name)
        if not isinstance(value, int | float) or not 0 < value <= LONGEST_TIMEOUT:
            hint = f"Give seconds, more than 0 and at most {LONGEST_TIMEOUT}."
            yield Error(f"The {name} of an OpenAI backend is out of range.", hint=hint, id="backends.E008")
    if not isinstance(backend.max_retries, int) or not 0 <= backend.max_retries <= MOST_RETRIES:
        hint = f"Give a whole number from 0 to {MOST_RETRIES}."
        yield Error("The max_retries of an OpenAI backend is out of range.", hint=hint, id="backends.E008")
