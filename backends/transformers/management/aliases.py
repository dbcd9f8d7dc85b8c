"""The configured backends that run local models."""

from __future__ import annotations

from django.core.management.base import CommandError

from backends import InvalidChatBackend, chat_backends
from backends.transformers.backend import TransformersBackend


def local_backend(alias: str) -> TransformersBackend:
    """Return the backend of this alias.

    Raises:
        CommandError: there is none, or it runs no model here.
    """
    try:
        backend = chat_backends[alias]
    except InvalidChatBackend as error:
        raise CommandError(str(error)) from error
    if not isinstance(backend, TransformersBackend):
        raise CommandError(f"{alias!r} runs no model on this machine.")
    return backend


def local_aliases() -> dict[str, str]:
    """Return the aliases of the backends that run local models, by the keys of their engines."""
    found = {}
    for alias in chat_backends:
        try:
            found[local_backend(alias).engine_key()] = alias
        except CommandError:
            continue  # manage.py check says what is wrong with it
    return found
